/**
 * Violations of what is kept and booked: results, their bytes, device time.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { artifacts } from "../rules/artifacts.ts";
import { books } from "../rules/books.ts";
import { derivedStates } from "../rules/derived-states.ts";
import { equalBytes } from "../rules/equal-bytes.ts";
import { fence } from "../rules/fence.ts";
import { oneCommit } from "../rules/one-commit.ts";
import { oneResult } from "../rules/one-result.ts";
import { profiles } from "../rules/profiles.ts";
import { runs } from "../rules/runs.ts";
import type { SmallFarm } from "../small-farm.ts";
import { changing, denoiseOf, first, has, type Planted, rewritten } from "./planted.ts";

async function pathOfOutput({ farm, jobs }: SmallFarm): Promise<string> {
  const [row] = await farm.sql<{ sha256: string }>(`select sha256 from task_output where task_id = ${denoiseOf(jobs.plain)}`);
  const sha256 = row?.sha256 ?? "";
  return join(farm.dataFolder, "artifacts", sha256.slice(0, 2), sha256);
}

/** Does something to the file of a result; what is returned mends it. */
async function spoilOutput(small: SmallFarm, spoil: (path: string, bytes: Buffer) => Promise<unknown>): Promise<() => Promise<unknown>> {
  const path = await pathOfOutput(small);
  const bytes = await readFile(path);
  await spoil(path, bytes);
  return () => writeFile(path, bytes);
}

async function leaveBytes({ farm }: SmallFarm): Promise<() => Promise<unknown>> {
  const path = join(farm.dataFolder, "artifacts", "00", "0".repeat(64));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "nobody's");
  return () => rm(path);
}

const ofResults: readonly Planted[] = [
  {
    what: "a second committed attempt",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update attempt set state = 'succeeded', disposition = 'committed' where task_id = ${denoiseOf(jobs.resumed)}`),
    breaks: oneResult,
    also: [runs, fence, profiles],
  },
  {
    what: "a visible result that no attempt made",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update task_output o set sha256 = (select sha256 from artifact a where is_stored and sha256 <> o.sha256 limit 1)
        where task_id = ${denoiseOf(jobs.resumed)}`),
    breaks: oneResult,
    also: [equalBytes],
  },
  {
    what: "a result of a task that has none",
    plant: (planter, { jobs }) => planter.inDatabase(`update task set state = 'cancelled' where id = ${denoiseOf(jobs.resumed)}`),
    breaks: oneResult,
    also: [derivedStates, oneCommit],
  },
  {
    what: "two runs of one key with different bytes",
    plant: (planter) => {
      const isRun = first(has("ended", '"name":"latents"'));
      return planter.inJournals(/^runtime/, changing(isRun, rewritten(/"sha256":"[0-9a-f]{8}/g, '"sha256":"00000000')));
    },
    breaks: equalBytes,
    also: [oneResult],
  },
  {
    what: "a result other than an undisturbed run's",
    plant: (planter, { jobs }) => {
      const expected = { kind: "expected", jobId: jobs.resumed, name: "latents", sha256: "0".repeat(64) };
      return planter.inJournals(/^tester/, (line) => (line.kind === "listens" ? [line, expected] : [line]));
    },
    breaks: equalBytes,
  },
];

const ofBytes: readonly Planted[] = [
  {
    what: "bytes that are not what their name says",
    plant: (planter, small) =>
      planter.inPlace(() => spoilOutput(small, (path, bytes) => writeFile(path, Buffer.from(bytes).fill(bytes.readUInt8(0) ^ 1, 0, 1)))),
    breaks: artifacts,
  },
  {
    what: "a stored artifact whose bytes are gone",
    plant: (planter, small) => planter.inPlace(() => spoilOutput(small, (path) => rm(path))),
    breaks: artifacts,
  },
  {
    what: "bytes without a row",
    plant: (planter, small) => planter.inPlace(() => leaveBytes(small)),
    breaks: artifacts,
  },
  {
    what: "a download of other bytes",
    plant: (planter) =>
      planter.inJournals(
        /^client/,
        changing(has("over", "bytesSha256"), (line) => ({ ...line, bytesSha256: "0".repeat(64) })),
      ),
    breaks: artifacts,
  },
];

const ofBooks: readonly Planted[] = [
  {
    what: "an attempt that is not on the books",
    plant: (planter, { jobs }) => planter.inDatabase(`delete from usage where task_id = ${denoiseOf(jobs.plain)}`),
    breaks: books,
  },
  {
    what: "time that is booked twice",
    plant: (planter, { jobs }) => planter.inDatabase(`update usage set device_ms = device_ms * 2 where task_id = ${denoiseOf(jobs.plain)}`),
    breaks: books,
  },
  {
    what: "a killed run that costs more than its report says",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update usage u set device_ms = u.device_ms + 3600000 from attempt a
        where a.id = u.attempt_id and a.number = 1 and a.task_id = ${denoiseOf(jobs.resumed)}`),
    breaks: books,
  },
  {
    what: "time on another tenant's books",
    plant: (planter, { jobs }) => planter.inDatabase(`update usage set tenant_id = 'other' where task_id = ${denoiseOf(jobs.plain)}`),
    breaks: books,
  },
];

export const plantedOfResults: readonly Planted[] = [...ofResults, ...ofBytes, ...ofBooks];
