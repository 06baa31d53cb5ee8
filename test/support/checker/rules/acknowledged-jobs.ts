/**
 * Design §4: "No acknowledged job is lost."
 *
 * A job that a client was told of is there, with the body that was acknowledged and as many renders; in a farm that was left to finish it
 * has ended.
 */
import type { Facts } from "../facts.ts";
import type { Kept } from "../journal-entries.ts";
import type { JobRow, RenderRow } from "../rows.ts";
import { acknowledgedOf, type ToldJob, toldJobsOf } from "../told-jobs.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, jobName, partOf } from "../words.ts";

export const acknowledgedJobs: Rule<Facts> = {
  sentence: "no acknowledged job is lost",
  check(facts) {
    const told = new Map(toldJobsOf(facts.calls).map((one) => [one.jobId, one]));
    const known = [...told.values()].flatMap((one) => lost(facts, one));
    const bodies = acknowledgedOf(facts.calls).flatMap((one) => otherBody(facts, one));
    const open = facts.bounds.isSettled ? facts.database.job.filter(({ state }) => !endedStates.includes(state)).map(unfinished) : [];
    return [...known, ...bodies, ...open];
  },
};

function lost(facts: Facts, { jobId, call }: ToldJob): readonly Finding[] {
  const where = jobName(jobId);
  return facts.jobs.has(jobId) ? [] : [{ where, what: "a client was told of it and it is not there", evidence: [call] }];
}

function unfinished(job: JobRow): Finding {
  return { where: jobName(job.id), what: `the farm was left to finish and it is ${job.state}`, evidence: [job] };
}

function otherBody(facts: Facts, { jobId, job, call }: ToldJob): readonly Finding[] {
  const row = facts.jobs.get(jobId);
  if (row === undefined) return [];
  const renders = facts.rendersOf(jobId);
  const findings: Finding[] = [];
  const say = (what: string, ...evidence: readonly unknown[]): number => findings.push({ where: jobName(jobId), what, evidence });
  const spec = partOf(job, "render");
  const [first] = renders;
  const differing = spec === undefined || first === undefined ? [] : differencesOf(spec, first);
  if (differing.length > 0) say(`its render was acknowledged with another ${differing.join(", ")}`, spec, first);
  const total = Number(partOf(job, "renderCounts")?.["total"] ?? row.render_total);
  if (total !== row.render_total) say(`${total} renders were acknowledged, it says that it has ${row.render_total}`, call, row);
  if (facts.bounds.isSettled && renders.length !== total) say(`${total} renders were acknowledged, ${renders.length} are there`, call);
  return findings;
}

const comparedFields = ["model", "prompt", "negativePrompt", "seed", "steps", "width", "height", "frames", "referencePrompts"] as const;

function differencesOf(told: Kept, { spec }: RenderRow): readonly string[] {
  const media = (body: Kept): unknown => [body["image"], body["references"]].flat().map((one) => partOf({ one }, "one")?.["sha256"]);
  const differing: string[] = comparedFields.filter((name) => told[name] !== undefined && !isSame(told[name], spec[name]));
  return isSame(media(told), media(spec)) ? differing : [...differing, "media"];
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
