/**
 * Who this worker is: an id that outlives restarts, and what it can do at the moment.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, hostname, totalmem } from "node:os";
import { join } from "node:path";
import packageManifest from "../../package.json" with { type: "json" };
import type { DescribeRuntimeResponse } from "../gen/proto/vapfarm/v1/stage.ts";
import type { HeldModel, WorkerDescription } from "../gen/proto/vapfarm/v1/dispatch.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";

const idPattern = /^[0-9a-f]{32}$/;

/** The id in the worker's folder; made at the first start. */
export async function readWorkerId(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "worker-id");
  const found = await readId(path);
  if (found !== undefined) return found;
  // Written beside and linked, so that a crash leaves no half of an id.
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, `${randomBytes(16).toString("hex")}\n`);
  await rm(path, { force: true });
  await link(partial, path);
  await rm(partial, { force: true });
  return readWorkerId(folder);
}

async function readId(path: string): Promise<string | undefined> {
  const text = (await readFile(path, "utf8").catch(() => "")).trim();
  return idPattern.test(text) ? text : undefined;
}

/** What the coordinator hears of a model: its engines by name. */
function heldModel({ name, engines }: ModelManifest): HeldModel {
  return { name, engineDigests: Object.fromEntries(Object.values(engines).map((engine) => [engine.name, engine.digest])) };
}

export type WorkerFacts = {
  readonly workerId: string;
  readonly name: string;
  readonly pool: string;
  readonly models: readonly ModelManifest[];
};

/** The description that goes with each `next`. */
export function describeWorker(facts: WorkerFacts, runtime: DescribeRuntimeResponse | undefined): WorkerDescription {
  return {
    workerId: facts.workerId,
    name: facts.name,
    host: hostname(),
    pool: facts.pool,
    provider: runtime?.provider ?? "",
    profile: runtime?.profile ?? "",
    device: cpus()[0]?.model ?? "cpu",
    memoryBytes: BigInt(totalmem()),
    models: facts.models.map(heldModel),
    residentEngineDigests: runtime?.residentEngineDigests ?? [],
    softwareVersion: packageManifest.version,
  };
}
