/**
 * The store's invariant 5 and design §2: a job's events are numbered without gaps, say what the rows say, and are copied in order, each once.
 */
import type { Facts } from "../facts.ts";
import type { JobRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, jobName } from "../words.ts";

export const eventLog: Rule<Facts> = {
  sentence: "events are numbered without gaps and say what the rows say",
  check: (facts) => [...facts.database.job.flatMap((job) => ofJob(facts, job)), ...copied(facts)],
};

function ofJob(facts: Facts, job: JobRow): readonly Finding[] {
  if (job.is_pruned) return [];
  const events = facts.eventsOf(job.id);
  const say = (what: string, ...evidence: readonly unknown[]): Finding => ({ where: jobName(job.id), what, evidence: [job, ...evidence] });
  const findings: Finding[] = [];
  const gap = events.find(({ number }, index) => number !== index + 1);
  if (gap !== undefined) findings.push(say(`an event is missing before number ${gap.number}`, gap));
  if (events.length !== job.last_event) findings.push(say(`it counts ${job.last_event} events, ${events.length} are there`));
  if (job.sent_event > job.last_event) findings.push(say("more events were copied than there are"));
  const last = events.findLast(({ job_state }) => job_state !== null)?.job_state ?? "";
  const isRight = endedStates.includes(last) || endedStates.includes(job.state) ? last === job.state : true;
  if (!isRight) findings.push(say(`it is ${job.state}, its last event says "${last}"`));
  return [...findings, ...twiceEnded(facts, job), ...strangers(facts, job)];
}

/** What has ended ends again only after it was retried. */
function twiceEnded(facts: Facts, job: JobRow): readonly Finding[] {
  const states = facts.eventsOf(job.id).filter(({ job_state }) => job_state !== null);
  return states.flatMap((event, index) => {
    const before = states[index - 1];
    if (before === undefined || !endedStates.includes(before.job_state ?? "")) return [];
    if (event.kind === "job.retried" && !endedStates.includes(event.job_state ?? "")) return [];
    return [
      { where: jobName(job.id), what: `it was ${before.job_state ?? ""} and became ${event.job_state ?? ""}`, evidence: [before, event] },
    ];
  });
}

/** Events about tasks that the job does not use, or more beginnings than there were attempts. */
function strangers(facts: Facts, job: JobRow): readonly Finding[] {
  const about = Map.groupBy(
    facts.eventsOf(job.id).filter(({ task_id }) => task_id !== 0),
    ({ task_id }) => task_id,
  );
  return [...about].flatMap(([id, events]) => {
    const starts = events.filter(({ kind }) => kind === "task.started");
    const attempts = facts.attemptsOf(id);
    const where = jobName(job.id);
    if (facts.tasks.get(id) === undefined) return [{ where, what: `its log tells of task ${id}, which is not there`, evidence: events }];
    const what = `its log tells of ${starts.length} beginnings of task ${id}, there were ${attempts.length}`;
    return starts.length > attempts.length ? [{ where, what, evidence: [...starts, ...attempts] }] : [];
  });
}

/** The copy may lack a beginning, for a stream can be lost; what it has is in order, without doubles and true. */
function copied(facts: Facts): readonly Finding[] {
  const byJob = Map.groupBy(facts.eventCopy ?? [], ({ jobId }) => jobId);
  return [...byJob].flatMap(([jobId, copies]) =>
    copies.flatMap((copy, index) => {
      const before = copies[index - 1];
      const row = facts.eventsOf(jobId).find(({ number }) => number === copy.number);
      const where = jobName(jobId);
      if (before !== undefined && copy.number !== before.number + 1)
        return [{ where, what: `the copy of its events goes from ${before.number} to ${copy.number}`, evidence: [before, copy] }];
      const isTrue = row?.kind === copy.kind && row.task_id === copy.taskId;
      return isTrue ? [] : [{ where, what: `the copy of event ${copy.number} is not its row`, evidence: [copy, row] }];
    }),
  );
}
