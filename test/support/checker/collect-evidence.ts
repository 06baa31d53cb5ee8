/**
 * Takes the evidence of a farm: journals, one snapshot of the database, the artifact folder hashed anew, the copy of the events.
 *
 * The journals are read after the database: what they tell more than it is what happened meanwhile, and a farm that was left to finish
 * does nothing any more.
 */
import type { Pool } from "../../../services/platform/database/pool.ts";
import { readProcess } from "../../../services/worker/supervise/process-table.ts";
import { readArtifactFolder } from "./artifact-folder.ts";
import { readSnapshot, type Reader } from "./database-snapshot.ts";
import { type Bounds, defaultBounds, type Evidence, type SeenProcess } from "./evidence.ts";
import { readEventCopy } from "./event-copy.ts";
import { readJournals } from "./journals.ts";

export type FarmUnderTest = {
  /** Connections to its database; or one connection whose transaction is the moment to be looked at. */
  readonly database: Pool | Reader;
  /** Of its folder of artifacts. */
  readonly artifactsFolder?: string;
  readonly natsUrl?: string;
  /** As `VAPFARM_FARM`. */
  readonly farm?: string;
  readonly journalsFolder: string;
  readonly bounds?: Partial<Bounds>;
  /** Processes that must be gone by now, and those that may still run. */
  readonly processes?: readonly Omit<SeenProcess, "isRunning">[];
};

/** Everything that can be known of the farm now. */
export async function collectEvidence(farm: FarmUnderTest): Promise<Evidence> {
  const { takenAtMs, snapshot } = await readSnapshot(farm.database);
  const artifacts = farm.artifactsFolder === undefined ? undefined : await readArtifactFolder(farm.artifactsFolder);
  const eventCopy = farm.natsUrl === undefined ? undefined : await readEventCopy(farm.natsUrl, farm.farm ?? "local");
  return {
    takenAtMs,
    bounds: { ...defaultBounds, ...farm.bounds },
    database: snapshot,
    artifacts,
    eventCopy,
    ...(await readJournals(farm.journalsFolder)),
    processes: await Promise.all((farm.processes ?? []).map(async (one) => ({ ...one, isRunning: await isRunning(one) }))),
  };
}

async function isRunning({ processId, program = "" }: Omit<SeenProcess, "isRunning">): Promise<boolean> {
  const found = await readProcess(processId);
  return found !== undefined && found.state !== "Z" && found.commandLine.some((part) => part.includes(program));
}
