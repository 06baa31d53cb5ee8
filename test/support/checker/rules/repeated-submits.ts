/**
 * Submit's promise (farm.proto): the same idempotency key is answered with the job of the first call, whoever answers and whatever broke
 * between; and no two acknowledged submits share a job otherwise.
 */
import type { Facts } from "../facts.ts";
import { acknowledgedOf, type ToldJob } from "../told-jobs.ts";
import type { Finding, Rule } from "../violation.ts";
import { jobName, textOf } from "../words.ts";

export const repeatedSubmits: Rule<Facts> = {
  sentence: "a repeated submit is answered with the same job, and only a repeated one",
  check(facts) {
    const told = acknowledgedOf(facts.calls);
    const byKey = Map.groupBy(
      told.filter((one) => keyOf(one) !== ""),
      (one) => `${textOf(one.job, "tenant")} ${keyOf(one)}`,
    );
    const torn = [...byKey.values()].flatMap((submits) => tornKey(facts, submits));
    const unkeyed = Map.groupBy(
      told.filter((one) => keyOf(one) === ""),
      ({ jobId }) => jobId,
    );
    return [...torn, ...[...unkeyed.values()].flatMap(sharedJob)];
  },
};

const keyOf = ({ call }: ToldJob): string => textOf(call.request, "idempotencyKey");

function tornKey(facts: Facts, submits: readonly ToldJob[]): readonly Finding[] {
  const [first] = submits;
  if (first === undefined) return [];
  const key = keyOf(first);
  const others = submits.filter(({ jobId }) => jobId !== first.jobId);
  const where = jobName(first.jobId);
  const answered = others.map(({ jobId, call }) => ({
    where,
    what: `its key ${key} was answered with job ${jobId} later`,
    evidence: [first.call, call],
  }));
  const rows = facts.database.job.filter((row) => row.idempotency_key === key && row.tenant_id === textOf(first.job, "tenant"));
  const isKept = rows.length === 1 && rows[0]?.id === first.jobId;
  return isKept
    ? answered
    : [...answered, { where, what: `its key ${key} belongs to ${rows.length} rows, or to another job`, evidence: [first.call, ...rows] }];
}

function sharedJob(submits: readonly ToldJob[]): readonly Finding[] {
  const [first] = submits;
  if (first === undefined || submits.length < 2) return [];
  return [
    {
      where: jobName(first.jobId),
      what: `${submits.length} submits without a key were answered with it`,
      evidence: submits.map(({ call }) => call),
    },
  ];
}
