/**
 * Violations of who may do what when: the fence, leases, lives, budgets, checkpoints, holds, processes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { books } from "../rules/books.ts";
import { budgets } from "../rules/budgets.ts";
import { cancelled } from "../rules/cancelled.ts";
import { checkpoints } from "../rules/checkpoints.ts";
import { derivedStates } from "../rules/derived-states.ts";
import { fence } from "../rules/fence.ts";
import { holds } from "../rules/holds.ts";
import { leases } from "../rules/leases.ts";
import { oneCommit } from "../rules/one-commit.ts";
import { oneResult } from "../rules/one-result.ts";
import { processes } from "../rules/processes.ts";
import { runs } from "../rules/runs.ts";
import { sessions } from "../rules/sessions.ts";
import { watchedEvents } from "../rules/watched-events.ts";
import type { Planter } from "../plant.ts";
import type { Violation } from "../violation.ts";
import { changing, denoiseOf, doubling, first, has, type Planted } from "./planted.ts";

const ofFence: readonly Planted[] = [
  {
    what: "two attempts of a task at once",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update attempt set ended_at = ended_at + interval '1 hour' where task_id = ${denoiseOf(jobs.resumed)} and number = 1`,
      ),
    breaks: fence,
  },
  {
    what: "a superseded attempt that committed",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update attempt set disposition = 'superseded' where task_id = ${denoiseOf(jobs.plain)}`),
    breaks: fence,
  },
  {
    what: "a report that was answered otherwise than it was taken",
    plant: (planter) =>
      planter.inJournals(
        /^worker/,
        changing(first(has("answered", '"committed"')), (line) => ({ ...line, disposition: "superseded" })),
      ),
    breaks: fence,
  },
  {
    what: "a run that nobody claimed",
    plant: (planter) => {
      const other = { runId: "00000000-0000-0000-0000-000000000000" };
      return planter.inJournals(
        /^runtime/,
        changing(
          first(({ kind }) => kind === "began"),
          (line) => ({ ...line, ...other }),
        ),
      );
    },
    breaks: runs,
    also: [books],
  },
  {
    what: "a run that was begun twice",
    plant: (planter) => planter.inJournals(/^runtime/, doubling(first(({ kind }) => kind === "began"))),
    breaks: runs,
  },
];

const ofLives: readonly Planted[] = [
  {
    what: "a lease that was taken while in force",
    plant: (planter) =>
      planter.inDatabase("update session set is_live = false, end_reason = 'lapsed', ended_at = lease_until - interval '5 s'"),
    breaks: leases,
  },
  {
    what: "reaping before the beat path was proven",
    plant: (planter) =>
      planter.inDatabase(
        "update session set is_live = false, end_reason = 'lapsed', ended_at = clock_timestamp(), lease_until = opened_at",
        "update canary set unbroken_since = clock_timestamp() - interval '2 s'",
      ),
    breaks: leases,
  },
  {
    what: "two lives of one worker",
    plant: (planter) =>
      planter.inDatabase(`insert into session (id, worker_id, pool, lease_until, last_heard_at)
        select 'second', worker_id, pool, lease_until, last_heard_at from session where is_live limit 1`),
    breaks: sessions,
  },
  {
    what: "work under another epoch",
    plant: (planter) =>
      planter.inJournals(
        /^worker/,
        changing(
          first(({ kind }) => kind === "claimed"),
          (line) => ({ ...line, farmEpoch: "7" }),
        ),
      ),
    breaks: sessions,
  },
  { what: "a runtime that outlived its agent", plant: leaveRuntime, breaks: processes },
];

/** A process that looks like the first runtime of the journals. */
async function leaveRuntime(planter: Planter): Promise<readonly Violation[]> {
  const child = spawn("sleep", ["600"], { argv0: "runtime/main.ts", stdio: "ignore" });
  try {
    const isOpened = first(({ kind }) => kind === "opened");
    return await planter.inJournals(
      /^runtime/,
      changing(isOpened, (line) => ({ ...line, processId: child.pid ?? 0 })),
    );
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

const ofTries: readonly Planted[] = [
  {
    what: "a budget that was exceeded",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update task set failures = '{"unexplained": 3}' where id = ${denoiseOf(jobs.resumed)}`),
    breaks: budgets,
  },
  {
    what: "a death before its budget was spent",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update task set state = 'failed', failure_code = 'SUSPECTED_POISON' where id = ${denoiseOf(jobs.resumed)}`),
    breaks: budgets,
    also: [oneResult, derivedStates],
  },
  {
    what: "a death for want of memory that another worker has",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update task set state = 'failed', failures = '{"capacity": 1}', failure_code = 'STAGE_OUT_OF_MEMORY' where id = ${denoiseOf(jobs.resumed)}`,
        `update attempt set state = 'failed', error_class = 'capacity', error_code = 'STAGE_OUT_OF_MEMORY'
          where task_id = ${denoiseOf(jobs.resumed)} and number = 2`,
        `update worker set memory_bytes = memory_bytes + 1
          where id <> (select worker_id from attempt where task_id = ${denoiseOf(jobs.resumed)} and number = 2)`,
      ),
    breaks: budgets,
    also: [oneResult, derivedStates, fence, runs, oneCommit],
  },
  {
    what: "a second try on the worker that had failed",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update attempt a set worker_id = b.worker_id, worker_name = b.worker_name, session_id = b.session_id
        from attempt b where a.task_id = ${denoiseOf(jobs.resumed)} and b.task_id = a.task_id and b.number = 1 and a.number = 2`),
    breaks: budgets,
    also: [runs, sessions],
  },
  {
    what: "a checkpoint of a task that has ended",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`insert into task_checkpoint (task_id, attempt_id, step, sha256, profile)
        select a.task_id, a.id, 25, o.sha256, 'cpu' from attempt a join task_output o on o.task_id = a.task_id
        where a.task_id = ${denoiseOf(jobs.plain)}`),
    breaks: checkpoints,
  },
  {
    what: "a run that goes on at a checkpoint that was never written",
    plant: (planter) =>
      planter.inDatabase("update event set message = 'from its checkpoint of step 7' where kind = 'task.started' and message <> ''"),
    breaks: checkpoints,
    also: [watchedEvents],
  },
  {
    what: "a run that lost more steps than was promised",
    plant: (planter) =>
      planter.inJournals(
        /^runtime/,
        changing(
          ({ kind }) => kind === "stepped",
          (line) => ({ ...line, step: 390 }),
        ),
      ),
    breaks: checkpoints,
  },
];

const ofOrders: readonly Planted[] = [
  {
    what: "a claim for a render that had ended",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update render set ended_at = ended_at - interval '1 hour' where job_id = '${jobs.resumed}'`),
    breaks: cancelled,
  },
  {
    what: "a claim during a hold",
    plant: (planter) => {
      const isRelease = first((line) => line.kind === "asked" && line["call"] === "releaseHold");
      return planter.inJournals(
        /^client/,
        changing(isRelease, (line) => ({ ...line, atMs: line.atMs + 600_000 })),
      );
    },
    breaks: holds,
  },
  {
    what: "a claim by a cordoned worker",
    plant: (planter, { workingName }) =>
      planter.inJournals(/^client/, (line) => {
        if (line.kind === "asked" && line["call"] === "uncordonWorker") return [{ ...line, call: "getWorker" }];
        return line.kind === "asked" && line["call"] === "cordonWorker" ? [{ ...line, request: { workerId: workingName } }] : [line];
      }),
    breaks: holds,
  },
];

export const plantedOfAttempts: readonly Planted[] = [...ofFence, ...ofLives, ...ofTries, ...ofOrders];
