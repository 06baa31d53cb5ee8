/**
 * Who this worker is: an id that outlives restarts, a count of its lives, and what it can do at the moment.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { cpus, hostname, totalmem } from "node:os";
import { join } from "node:path";
import packageManifest from "../../package.json" with { type: "json" };
import type { DescribeRuntimeResponse } from "../gen/proto/vapfarm/v1/stage.ts";
import type { HeldModel, WorkerDescription } from "../gen/proto/vapfarm/v1/dispatch.ts";
import { stagesWithoutEngine } from "../domain/stage.ts";
import type { HeldManifest } from "../platform/models/repository.ts";

export type WorkerIdentity = {
  readonly workerId: string;
  /** Life of this start's first session; later sessions count up from it. Larger than any life of an earlier start. */
  readonly firstLife: bigint;
};

const filePattern = /^(?<workerId>[0-9a-f]{32}) (?<starts>\d{1,9})$/;
/** More than one start ever opens. */
const sessionsPerStart = 1n << 20n;

/**
 * Reads the worker's folder and counts this start. Id and count are one file, so that a count that was lost takes its id with it: a
 * worker that counts from the beginning again is another worker.
 */
export async function startIdentity(folder: string): Promise<WorkerIdentity> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "worker-id");
  const text = (await readFile(path, "utf8").catch(() => "")).trim();
  const found = filePattern.exec(text)?.groups;
  const workerId = found?.["workerId"] ?? randomBytes(16).toString("hex");
  const starts = BigInt(found?.["starts"] ?? 0) + 1n;
  await replaceFile(path, `${workerId} ${starts}\n`);
  return { workerId, firstLife: starts * sessionsPerStart };
}

/** A crash leaves the old file or the new one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}`;
  const file = await open(partial, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

/** What the coordinator hears of a model: its engines by name. */
function heldModel({ name, engines }: HeldManifest): HeldModel {
  return { name, engineDigests: Object.fromEntries(Object.values(engines).map((engine) => [engine.name, engine.digest])) };
}

export type WorkerFacts = {
  readonly workerId: string;
  readonly name: string;
  readonly pool: string;
  /** Those that render, and metric repositories. */
  readonly models: readonly HeldManifest[];
  /** What its tasks may use; the machine's when undefined. */
  readonly memoryBytes: number | undefined;
  /** From the agent's start until it could work. */
  readonly startupMs: number;
};

/** All but the life, which is the session's. */
export type DescribedWorker = Omit<WorkerDescription, "life">;

/** The description that goes with each `next`. */
export function describeWorker(facts: WorkerFacts, runtime: DescribeRuntimeResponse | undefined): DescribedWorker {
  return {
    workerId: facts.workerId,
    name: facts.name,
    host: hostname(),
    pool: facts.pool,
    provider: runtime?.provider ?? "",
    profile: runtime?.profile ?? "",
    device: cpus()[0]?.model ?? "cpu",
    memoryBytes: BigInt(facts.memoryBytes ?? totalmem()),
    models: facts.models.map(heldModel),
    residentEngineDigests: runtime?.residentEngineDigests ?? [],
    softwareVersion: packageManifest.version,
    stagesWithoutEngine: [...stagesWithoutEngine],
    startupMs: facts.startupMs,
  };
}
