/**
 * The puller of a node killed at random bytes, and two of them at once: the files are those that were pushed, and each chunk comes once.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { modelChunkBytes } from "../../services/domain/model-version.ts";
import { type DownloadModelChunkRequest, ModelVersion } from "../../services/gen/proto/vapfarm/v1/models.ts";
import { placeOf } from "../../services/cli/models/node-folder.ts";
import { type CliRun, startCli } from "../support/cli.ts";
import { madeVersion } from "../support/node-models.ts";
import { type ScriptedFarm, startScriptedFarm } from "../support/scripted-farm.ts";

const pieceBytes = 256 * 1024;
const kills = 6;
const timeoutMs = 180_000;
const version = madeVersion("cog", {
  "farm.json": 500,
  "denoise/1/weights": 4 * modelChunkBytes + 12_345,
  "vae/1/weights": modelChunkBytes - 1,
});
const total = 5 * modelChunkBytes + 12_345 - 1 + 500;
const told = ModelVersion.create({ ...version, kind: "render", sizeBytes: BigInt(total), ready: true, aliases: ["prod"] });
const files = version.files.map(({ path, bytes, sha256, chunks }) => ({ path, sizeBytes: BigInt(bytes), sha256, chunks: [...chunks] }));

let farm: ScriptedFarm;
let root = "";
let sent = 0;
/** Told of each piece that was sent. */
let onSent: () => void = () => undefined;

beforeAll(async () => {
  farm = await startScriptedFarm({
    listModelVersions: () => ({ versions: [told] }),
    getModelVersion: () => ({ version: told, files }),
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async *downloadModelChunk({ sha256 }: DownloadModelChunkRequest) {
      const chunk = version.chunks.get(sha256) ?? Buffer.alloc(0);
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const piece = chunk.subarray(at, at + pieceBytes);
        yield { chunk: piece };
        sent += piece.length;
        onSent();
      }
    },
  });
});
afterAll(() => farm.stop());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "vapfarm-pull-"));
  farm.calls.length = 0;
  sent = 0;
  return () => rm(root, { recursive: true, force: true });
});

const pull = (...more: readonly string[]): CliRun =>
  startCli(["models", "pull", "cog@prod", "--to", root, "--parallel", "2", "--json", ...more], {
    VAPFARM_ADDRESS: farm.address,
  });

async function expectWhole(): Promise<void> {
  for (const [path, bytes] of version.contents) expect((await readFile(join(placeOf(root, version), path))).equals(bytes)).toBe(true);
}

test(
  "a puller that is killed again and again goes on where it was",
  async () => {
    let left = total;
    for (let kill = 0; kill < kills; kill += 1) {
      const run = pull();
      const until = sent + Math.floor(Math.random() * (left / (kills - kill + 1)));
      onSent = () => {
        if (sent >= until) run.process.kill("SIGKILL");
      };
      expect([null, 0]).toContain((await run.outcome).code);
      left = Math.max(pieceBytes, total - sent);
    }
    onSent = () => undefined;
    const { code, stdout, stderr } = await pull().outcome;
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ versions: [{ reference: `cog:${version.version}`, bytes: total }] });
    await expectWhole();
    // What was on its way at a kill comes again; what was written does not.
    expect(sent).toBeLessThanOrEqual(total + kills * 2 * modelChunkBytes);
    expect((await readdir(root)).toSorted()).toEqual([".aliases.json", ".lock", ".partial", ".used", `cog@${version.version}`]);
  },
  timeoutMs,
);

test(
  "of two pullers at once one pulls, and the other finds it there",
  async () => {
    const both = await Promise.all([pull().outcome, pull().outcome]);
    const pulled = both.map(({ stdout }) => (JSON.parse(stdout) as { versions: { pulledBytes: number }[] }).versions[0]?.pulledBytes ?? -1);
    expect([both.map(({ code }) => code), pulled.toSorted((left, right) => left - right)]).toEqual([
      [0, 0],
      [0, total],
    ]);
    expect([farm.requests("downloadModelChunk").length, sent]).toEqual([version.chunks.size, total]);
    await expectWhole();
  },
  timeoutMs,
);

test(
  "one that waits goes on when the one that pulls is killed",
  async () => {
    const first = pull();
    let second: CliRun | undefined;
    const waits = Promise.withResolvers<undefined>();
    onSent = () => {
      if (second === undefined) {
        second = startCli(["models", "pull", "cog@prod", "--to", root], { VAPFARM_ADDRESS: farm.address });
        void second.printed(/waiting for process/).then(() => waits.resolve(undefined));
      }
    };
    // Frozen, it holds the lock and does nothing.
    const frozen = new Promise<void>((resolve) => {
      const look = onSent;
      onSent = () => {
        look();
        first.process.kill("SIGSTOP");
        resolve();
      };
    });
    await frozen;
    await waits.promise;
    onSent = () => undefined;
    first.process.kill("SIGKILL");
    expect((await first.outcome).code).toBe(null);
    expect((await second?.outcome)?.code).toBe(0);
    await expectWhole();
  },
  timeoutMs,
);
