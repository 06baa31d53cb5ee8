/**
 * A stand-in for S3 on loopback: `moto` (PyPI), in a process that ends with the test's own.
 *
 * The packages are pinned by hash and installed into .cache at the first use. It is no S3: it keeps objects in memory, looks whether requests
 * are signed and not whether rightly, and believes the checksums that it is sent (`fault/s3-proxy.ts` checks them in its place).
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { withDeadline } from "../../services/platform/deadline.ts";
import { spawnGuarded } from "../../services/platform/programs/guardian.ts";
import { projectRoot } from "./ffmpeg.ts";

const folder = join(import.meta.dirname, "moto");
const installMs = 600_000;
const startMs = 60_000;
const stopMs = 10_000;

/** What stands in the environment of a process that uses it. */
export const motoCredentials = {
  AWS_ACCESS_KEY_ID: "AKIATESTTESTTESTTEST",
  AWS_SECRET_ACCESS_KEY: "a-secret-that-nobody-may-see-0123456789",
} as const;

export type Moto = {
  readonly endpoint: string;
  readonly port: number;
  /** A new bucket. */
  createBucket(name: string): Promise<void>;
  /** Keys of a bucket's objects. */
  keys(bucket: string): Promise<readonly string[]>;
  /** How many uploads in parts are begun and neither completed nor taken back. */
  openUploads(bucket: string): Promise<number>;
  stop(): Promise<void>;
};

/** Starts one; call `stop` in afterAll. */
export async function startMoto(): Promise<Moto> {
  const packages = await installed();
  // The environment is the guardian's: nothing of the test's own Python or AWS settings.
  const command = ["env", "-i", `PATH=${process.env["PATH"] ?? ""}`, `PYTHONPATH=${packages}`, "PYTHONDONTWRITEBYTECODE=", "python3"];
  const child = spawnGuarded({ command: [...command, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], endSignal: "TERM" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await withDeadline(ended, { ms: stopMs, what: "the end of moto" });
  };
  try {
    const port = await withDeadline(portOf(child.stderr, ended), { ms: startMs, what: "the start of moto" });
    return describe(port, stop);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function installed(): Promise<string> {
  const lock = createHash("sha256")
    .update(await readFile(join(folder, "requirements.lock")))
    .digest("hex");
  const prefix = join(projectRoot, ".cache", `moto-${lock.slice(0, 12)}`);
  const { stdout } = await promisify(execFile)("bash", [join(folder, "install.sh"), prefix], { timeout: installMs });
  return stdout.trim();
}

/** It takes a free port and says which. */
function portOf(stderr: NodeJS.ReadableStream, ended: Promise<void>): Promise<number> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    createInterface({ input: stderr }).on("line", (line) => {
      const port = /Running on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
      if (said.push(line) > 10) said.shift();
    });
    void ended.then(() => reject(new TypeError(`moto did not start: ${said.join("; ")}`)));
  });
}

function describe(port: number, stop: () => Promise<void>): Moto {
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: motoCredentials.AWS_ACCESS_KEY_ID, secretAccessKey: motoCredentials.AWS_SECRET_ACCESS_KEY };
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return {
    endpoint,
    port,
    async createBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async keys(bucket) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key = "" }) => Key);
    },
    async openUploads(bucket) {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads.length;
    },
    async stop() {
      client.destroy();
      await stop();
    },
  };
}
