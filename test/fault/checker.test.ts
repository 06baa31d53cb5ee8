/**
 * The checker on trial: a sound farm has no violations, and whatever is planted into one is found, by the rule whose promise it breaks.
 *
 * A planted violation may break other promises too; those are named, so that a rule that fires without cause is a failure.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rules } from "../support/checker/check-farm.ts";
import { forgeCopiedEvent } from "../support/checker/event-copy.ts";
import { planterOf, type Line, type Planter } from "../support/checker/plant.ts";
import { violationsOf } from "../support/checker/farm-under-test.ts";
import { runSmallFarm, type SmallFarm } from "../support/checker/small-farm.ts";
import type { Violation } from "../support/checker/violation.ts";
import { acknowledgedJobs } from "../support/checker/rules/acknowledged-jobs.ts";
import { artifacts } from "../support/checker/rules/artifacts.ts";
import { books } from "../support/checker/rules/books.ts";
import { budgets } from "../support/checker/rules/budgets.ts";
import { cancelled } from "../support/checker/rules/cancelled.ts";
import { checkpoints } from "../support/checker/rules/checkpoints.ts";
import { derivedStates } from "../support/checker/rules/derived-states.ts";
import { equalBytes } from "../support/checker/rules/equal-bytes.ts";
import { eventLog } from "../support/checker/rules/event-log.ts";
import { fence } from "../support/checker/rules/fence.ts";
import { holds } from "../support/checker/rules/holds.ts";
import { leases } from "../support/checker/rules/leases.ts";
import { oneCommit } from "../support/checker/rules/one-commit.ts";
import { oneResult } from "../support/checker/rules/one-result.ts";
import { processes } from "../support/checker/rules/processes.ts";
import { repeatedSubmits } from "../support/checker/rules/repeated-submits.ts";
import { runs } from "../support/checker/rules/runs.ts";
import { sessions } from "../support/checker/rules/sessions.ts";
import { toldStates } from "../support/checker/rules/told-states.ts";
import { watchedEvents } from "../support/checker/rules/watched-events.ts";
import { webhooks } from "../support/checker/rules/webhooks.ts";

let small: SmallFarm;
let planter: Planter;

beforeAll(async () => {
  small = await runSmallFarm();
  planter = planterOf(small);
}, 240_000);
afterAll(() => small.stop());

/** Rules that a test of this file has found broken. */
const found = new Set<string>();

type AnyRule = { readonly sentence: string };

/** The rule is broken, and none but it and the others. */
function expectFound(violations: readonly Violation[], rule: AnyRule, ...others: readonly AnyRule[]): void {
  const broken = new Set(violations.map(({ rule: sentence }) => sentence));
  found.add(rule.sentence);
  expect([...broken]).toContain(rule.sentence);
  const expected = [rule, ...others].map(({ sentence }) => sentence);
  expect(violations.filter(({ rule: sentence }) => !expected.includes(sentence))).toEqual([]);
  for (const { where, what, evidence } of violations)
    expect([where.length, what.length, evidence.length].every((length) => length > 0)).toBe(true);
}

const denoiseOf = (jobId: string): string =>
  `(select t.id from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id where r.job_id = '${jobId}' and t.stage = 'denoise')`;

/** The line with some of it changed, where it is the one. */
const changing = (isIt: (line: Line) => boolean, change: (line: Line) => object) => (line: Line) => (isIt(line) ? [change(line)] : [line]);
const dropping = (isIt: (line: Line) => boolean) => (line: Line) => (isIt(line) ? [] : [line]);
const doubling = (isIt: (line: Line) => boolean) => (line: Line) => (isIt(line) ? [line, line] : [line]);

/** Accepts only the first line that is accepted. */
function first(isIt: (line: Line) => boolean): (line: Line) => boolean {
  let isDone = false;
  return (line) => {
    if (isDone || !isIt(line)) return false;
    isDone = true;
    return true;
  };
}

it("a sound farm has no violations", async () => {
  expect(await violationsOf(small.farm, small.journals, small.bounds)).toEqual([]);
});

describe("of jobs and what clients were told", () => {
  it("an acknowledged job that is gone is found", async () => {
    expectFound(await planter.inDatabase(`delete from job where id = '${small.jobs.held}'`), acknowledgedJobs, toldStates);
  });

  it("an acknowledged job with another body is found", async () => {
    const plant = `update render set spec = jsonb_set(spec, '{prompt}', '"Another."') where job_id = '${small.jobs.plain}'`;
    expectFound(await planter.inDatabase(plant), acknowledgedJobs);
  });

  it("a job that never ends is found", async () => {
    const plant = `update job set state = 'running', ended_at = null, render_running = 1, render_succeeded = 0 where id = '${small.jobs.held}'`;
    expectFound(await planter.inDatabase(plant), acknowledgedJobs, derivedStates, eventLog);
  });

  it("a repeated submit that made another job is found", async () => {
    const plant = `update job set idempotency_key = 'other' where id = '${small.jobs.plain}'`;
    expectFound(await planter.inDatabase(plant), repeatedSubmits);
  });

  it("a repeated submit that was answered with another job is found", async () => {
    const isRepeat = (line: Line): boolean => line.kind === "told" && JSON.stringify(line).includes(`"jobId":"${small.jobs.plain}"`);
    const other = (line: Line): object => JSON.parse(JSON.stringify(line).replaceAll(small.jobs.plain, small.jobs.held)) as object;
    expectFound(await planter.inJournals(/^client/, changing(first(isRepeat), other)), repeatedSubmits, acknowledgedJobs, toldStates);
  });

  it("a state that a client was told and the log does not know is found", async () => {
    const isEnd = (line: Line): boolean => line.kind === "told" && JSON.stringify(line).includes('"state":3,"jobClass"');
    const failed = (line: Line): object =>
      JSON.parse(JSON.stringify(line).replace('"state":3,"jobClass"', '"state":4,"jobClass"')) as object;
    expectFound(await planter.inJournals(/^client/, changing(first(isEnd), failed)), toldStates);
  });

  it("a watch that lost an event is found", async () => {
    expectFound(await planter.inJournals(/^client/, dropping(first(isEvent("task.started")))), watchedEvents);
  });

  it("a watch that told an event twice is found", async () => {
    expectFound(await planter.inJournals(/^client/, doubling(first(isEvent("task.succeeded")))), watchedEvents);
  });

  it("a watch that ended before the job did is found", async () => {
    expectFound(await planter.inJournals(/^client/, dropping(first(isEvent("job.succeeded")))), watchedEvents);
  });

  it("an answered cancel that ended nothing is found", async () => {
    const isCancelled = (line: Line): boolean => line.kind === "told" && JSON.stringify(line).includes('"state":5,"jobClass"');
    const running = (line: Line): object =>
      JSON.parse(JSON.stringify(line).replace('"state":5,"jobClass"', '"state":2,"jobClass"')) as object;
    expectFound(await planter.inJournals(/^client/, changing(first(isCancelled), running)), cancelled, toldStates);
  });

  it("a webhook that was never told is found", async () => {
    const plant = "update webhook_delivery set delivered_at = null, next_try_at = clock_timestamp()";
    expectFound(await planter.inDatabase(plant), webhooks);
  });

  it("a webhook that is marked as told and never arrived is found", async () => {
    expectFound(
      await planter.inJournals(
        /^tester/,
        dropping(({ kind }) => kind === "delivered"),
      ),
      webhooks,
    );
  });
});

const isEvent =
  (kind: string) =>
  (line: Line): boolean =>
    line.kind === "heard" && JSON.stringify(line).includes(`"kind":"${kind}"`);

describe("of results and their bytes", () => {
  it("a second committed attempt is found", async () => {
    const plant = `update attempt set state = 'succeeded', disposition = 'committed' where task_id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(plant), oneResult, runs, fence);
  });

  it("a visible result that no attempt made is found", async () => {
    const other = "(select sha256 from artifact a where is_stored and sha256 <> o.sha256 limit 1)";
    const plant = `update task_output o set sha256 = ${other} where task_id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(plant), oneResult, equalBytes);
  });

  it("a result of a task that has none is found", async () => {
    const plant = `update task set state = 'cancelled' where id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(plant), oneResult, derivedStates, oneCommit);
  });

  it("two runs of one key with different bytes are found", async () => {
    const isRun = first((line) => line.kind === "ended" && JSON.stringify(line).includes('"name":"latents"'));
    const flipped = (line: Line): object =>
      JSON.parse(JSON.stringify(line).replace(/"sha256":"[0-9a-f]{8}/, '"sha256":"00000000')) as object;
    expectFound(await planter.inJournals(/^runtime/, changing(isRun, flipped)), equalBytes, oneResult);
  });

  it("bytes that are not what their name says are found, and so is a download of them", async () => {
    const violations = await planter.inPlace(async () => {
      const path = await pathOfOutput();
      const bytes = await readFile(path);
      await writeFile(path, Buffer.from(bytes).fill(1, 0, 1));
      return () => writeFile(path, bytes);
    });
    expectFound(violations, artifacts);
    const isOver = (line: Line): boolean => line.kind === "over" && "bytesSha256" in line;
    const other = (line: Line): object => ({ ...line, bytesSha256: "0".repeat(64) });
    expectFound(await planter.inJournals(/^client/, changing(isOver, other)), artifacts);
  });

  it("a stored artifact whose bytes are gone is found", async () => {
    const violations = await planter.inPlace(async () => {
      const path = await pathOfOutput();
      const bytes = await readFile(path);
      await rm(path);
      return () => writeFile(path, bytes);
    });
    expectFound(violations, artifacts);
  });

  it("bytes without a row are found", async () => {
    const violations = await planter.inPlace(async () => {
      const path = join(small.farm.dataFolder, "artifacts", "00", "0".repeat(64));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, "nobody's");
      return () => rm(path);
    });
    expectFound(violations, artifacts);
  });
});

async function pathOfOutput(): Promise<string> {
  const [row] = await small.farm.sql<{ sha256: string }>(`select sha256 from task_output where task_id = ${denoiseOf(small.jobs.plain)}`);
  const sha256 = row?.sha256 ?? "";
  return join(small.farm.dataFolder, "artifacts", sha256.slice(0, 2), sha256);
}

describe("of the books", () => {
  it("an attempt that is not on the books is found", async () => {
    expectFound(await planter.inDatabase(`delete from usage where task_id = ${denoiseOf(small.jobs.plain)}`), books);
  });

  it("time that is booked twice is found", async () => {
    expectFound(
      await planter.inDatabase(`update usage set device_ms = device_ms * 2 where task_id = ${denoiseOf(small.jobs.plain)}`),
      books,
    );
  });

  it("a killed run that costs more than it ran is found", async () => {
    const plant = `update usage set device_ms = device_ms + 3600000 where task_id = ${denoiseOf(small.jobs.resumed)} and disposition <> 'committed'`;
    const lost = `update usage set device_ms = device_ms + 3600000 where task_id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(plant, lost), books);
  });

  it("time on another tenant's books is found", async () => {
    expectFound(await planter.inDatabase(`update usage set tenant_id = 'other' where task_id = ${denoiseOf(small.jobs.plain)}`), books);
  });
});

describe("of the fence, leases and lives", () => {
  it("two attempts of a task at once are found", async () => {
    const plant = `update attempt set ended_at = ended_at + interval '1 hour' where task_id = ${denoiseOf(small.jobs.resumed)} and number = 1`;
    expectFound(await planter.inDatabase(plant), fence);
  });

  it("a superseded attempt that committed is found", async () => {
    const plant = `update attempt set disposition = 'superseded' where task_id = ${denoiseOf(small.jobs.plain)}`;
    expectFound(await planter.inDatabase(plant), fence);
  });

  it("a report that was answered otherwise than it was taken is found", async () => {
    const isAnswer = first((line) => line.kind === "answered" && line["disposition"] === "committed");
    expectFound(
      await planter.inJournals(
        /^worker/,
        changing(isAnswer, (line) => ({ ...line, disposition: "superseded" })),
      ),
      fence,
    );
  });

  it("a lease that was taken while in force is found", async () => {
    const plant = "update session set is_live = false, end_reason = 'lapsed', ended_at = lease_until - interval '5 s'";
    expectFound(await planter.inDatabase(plant), leases);
  });

  it("reaping while the farm itself was away is found", async () => {
    const lapsed = "update session set is_live = false, end_reason = 'lapsed', ended_at = clock_timestamp(), lease_until = opened_at";
    const restarted = "update canary set unbroken_since = clock_timestamp() - interval '2 s'";
    expectFound(await planter.inDatabase(lapsed, restarted), leases);
  });

  it("two lives of one worker are found", async () => {
    const plant = `insert into session (id, worker_id, pool, lease_until, last_heard_at)
      select 'second', worker_id, pool, lease_until, last_heard_at from session where is_live limit 1`;
    expectFound(await planter.inDatabase(plant), sessions);
  });

  it("work under another epoch is found", async () => {
    const isClaim = first(({ kind }) => kind === "claimed");
    expectFound(
      await planter.inJournals(
        /^worker/,
        changing(isClaim, (line) => ({ ...line, farmEpoch: "7" })),
      ),
      sessions,
    );
  });

  it("a run that nobody claimed, and one that was begun twice, are found", async () => {
    const isBegun = (line: Line): boolean => line.kind === "began";
    const other = (line: Line): object => ({ ...line, runId: "00000000-0000-0000-0000-000000000000" });
    expectFound(await planter.inJournals(/^runtime/, changing(first(isBegun), other)), runs, books);
    expectFound(await planter.inJournals(/^runtime/, doubling(first(isBegun))), runs);
  });
});

describe("of tasks and events", () => {
  it("a task that is queued and not ready is found", async () => {
    const plant = `insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid, tenant_id)
      select id, pool, shape, 0, 0, now(), '{}', tenant_id from task where id = ${denoiseOf(small.jobs.plain)}`;
    expectFound(await planter.inDatabase(plant), oneCommit);
  });

  it("a user that still wants what has ended is found", async () => {
    expectFound(
      await planter.inDatabase(`update task_user set is_wanted = true where task_id = ${denoiseOf(small.jobs.plain)}`),
      oneCommit,
    );
  });

  it("a count of inputs that is wrong is found", async () => {
    const plant = `update task set state = 'blocked', inputs_missing = 5, ended_at = null where id = ${denoiseOf(small.jobs.plain)}`;
    expectFound(await planter.inDatabase(plant), oneCommit, oneResult, derivedStates, acknowledgedJobs);
  });

  it("a success that is not in the log is found", async () => {
    const plant = `update event set kind = 'task.retried' where kind = 'task.succeeded' and task_id = ${denoiseOf(small.jobs.plain)}`;
    expectFound(await planter.inDatabase(plant), oneCommit, watchedEvents, eventLog);
  });

  it("renders that are miscounted are found", async () => {
    expectFound(
      await planter.inDatabase(
        `update job set render_succeeded = 1, render_queued = 0, render_cancelled = 1 where id = '${small.jobs.batch}'`,
      ),
      derivedStates,
    );
  });

  it("a gap in the log is found", async () => {
    const plant = `delete from event where job_id = '${small.jobs.held}' and number = 3`;
    expectFound(await planter.inDatabase(plant), eventLog, watchedEvents, oneCommit, checkpoints);
  });

  it("a copy of the log that tells what did not happen is found", async () => {
    const forged = { jobId: small.jobs.held, number: 3, kind: "task.failed", taskId: 1 };
    const plant = () => forgeCopiedEvent(small.farm.description.natsUrl, "local", forged);
    expectFound(await planter.inPlace(plant), eventLog);
  });

  it("a job that ended twice is found", async () => {
    const plant = `insert into event (job_id, number, at, kind, job_state)
      select id, last_event + 1, now(), 'job.succeeded', 'succeeded' from job where id = '${small.jobs.held}'`;
    expectFound(
      await planter.inDatabase(plant, `update job set last_event = last_event + 1 where id = '${small.jobs.held}'`),
      eventLog,
      webhooks,
    );
  });

  it("a budget that was exceeded, and a death before its budget was spent, are found", async () => {
    const spent = `update task set failures = '{"unexplained": 3}' where id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(spent), budgets);
    const dead = `update task set state = 'failed', failure_code = 'SUSPECTED_POISON', current_attempt = null where id = ${denoiseOf(small.jobs.resumed)}`;
    expectFound(await planter.inDatabase(dead), budgets, oneResult, derivedStates);
  });

  it("a second try on the worker that had failed is found", async () => {
    const plant = `update attempt a set worker_id = b.worker_id, worker_name = b.worker_name, session_id = b.session_id from attempt b
      where a.task_id = ${denoiseOf(small.jobs.resumed)} and b.task_id = a.task_id and b.number = 1 and a.number = 2`;
    expectFound(await planter.inDatabase(plant), budgets, runs, sessions);
  });

  it("a checkpoint of a task that has ended is found", async () => {
    const plant = `insert into task_checkpoint (task_id, attempt_id, step, sha256, profile)
      select a.task_id, a.id, 25, o.sha256, 'cpu' from attempt a join task_output o on o.task_id = a.task_id
      where a.task_id = ${denoiseOf(small.jobs.plain)}`;
    expectFound(await planter.inDatabase(plant), checkpoints);
  });

  it("a run that lost more than was promised is found", async () => {
    const invented = `update event set message = 'from its checkpoint of step 7' where kind = 'task.started' and message <> ''`;
    expectFound(await planter.inDatabase(invented), checkpoints, watchedEvents);
    const isStep = ({ kind }: Line): boolean => kind === "stepped";
    expectFound(
      await planter.inJournals(
        /^runtime/,
        changing(isStep, (line) => ({ ...line, step: 390 })),
      ),
      checkpoints,
    );
  });

  it("a claim for a render that had ended is found", async () => {
    const plant = `update render set ended_at = ended_at - interval '1 hour' where job_id = '${small.jobs.resumed}'`;
    expectFound(await planter.inDatabase(plant), cancelled);
  });

  it("a claim during a hold is found", async () => {
    const isRelease = first((line) => line.kind === "asked" && line["call"] === "releaseHold");
    const later = (line: Line): object => ({ ...line, atMs: line.atMs + 600_000 });
    expectFound(await planter.inJournals(/^client/, changing(isRelease, later)), holds);
  });

  it("a claim by a cordoned worker is found", async () => {
    const isUncordon = (line: Line): boolean => line.kind === "asked" && line["call"] === "uncordonWorker";
    const plant = changing(isUncordon, (line) => ({ ...line, call: "getWorker" }));
    expectFound(
      await planter.inJournals(/^client/, (line) =>
        plant(line.kind === "asked" && line["call"] === "cordonWorker" ? { ...line, request: { workerId: "worker-2" } } : line),
      ),
      holds,
    );
  });
});

it("a process that should have ended is found", async () => {
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  const opened = { kind: "opened", processId: child.pid ?? 0 };
  try {
    const isOpened = first(({ kind }) => kind === "opened");
    expectFound(
      await planter.inJournals(
        /^runtime/,
        changing(isOpened, (line) => ({ ...line, ...opened })),
      ),
      processes,
    );
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

it("every rule has a planted violation", () => {
  expect([...found].toSorted()).toEqual(rules.map(({ sentence }) => sentence).toSorted());
});
