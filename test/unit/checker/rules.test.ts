/**
 * What rules decide of evidence that a small farm does not come to: made by hand, one promise at a time.
 */
import { describe, expect, it } from "vitest";
import { defaultBounds, type Evidence } from "../../support/checker/evidence.ts";
import { type Facts, factsOf } from "../../support/checker/facts.ts";
import type { ClientCall, Run } from "../../support/checker/journal-entries.ts";
import type { AttemptRow, SessionRow, Snapshot, TaskRow } from "../../support/checker/rows.ts";
import { books } from "../../support/checker/rules/books.ts";
import { budgets } from "../../support/checker/rules/budgets.ts";
import { checkpoints } from "../../support/checker/rules/checkpoints.ts";
import { leases } from "../../support/checker/rules/leases.ts";
import { repeatedSubmits } from "../../support/checker/rules/repeated-submits.ts";
import { sessions } from "../../support/checker/rules/sessions.ts";
import { toldStates } from "../../support/checker/rules/told-states.ts";
import { webhooks } from "../../support/checker/rules/webhooks.ts";
import type { Rule } from "../../support/checker/violation.ts";

const startMs = Date.parse("2030-01-01T00:00:00Z");
const at = (seconds: number): string => new Date(startMs + seconds * 1_000).toISOString();

const empty: Snapshot = {
  farm: [{ epoch: 2 }],
  job: [],
  render: [],
  task: [],
  task_user: [],
  task_input: [],
  task_output: [],
  ready: [],
  attempt: [],
  session: [],
  worker: [],
  artifact: [],
  task_checkpoint: [],
  upload: [],
  upload_part: [],
  event: [],
  webhook: [],
  webhook_delivery: [],
  usage: [],
  canary: [],
  hold: [],
  job_stop: [],
  waiting: [],
  preemption: [],
};

const attempt: AttemptRow = {
  id: "one",
  task_id: 1,
  number: 1,
  session_id: "s1",
  worker_id: "w1",
  worker_name: "w1",
  state: "lost",
  disposition: null,
  started_at: at(0),
  began_at: at(0),
  ended_at: at(60),
  error_code: "LEASE_LAPSED",
  error_class: "unexplained",
  error_message: "the lease ran out",
  device_ms: 5_000,
  unnamed_since: null,
  provider: null,
  profile: null,
};
const session: SessionRow = {
  id: "s1",
  worker_id: "w1",
  pool: "p",
  is_live: false,
  end_reason: "lapsed",
  lease_until: at(55),
  last_heard_at: at(40),
  opened_at: at(-10),
  ended_at: at(60),
};
const task: TaskRow = {
  id: 1,
  content_key: "k",
  generation: 1,
  is_retired: false,
  tenant_id: "t",
  stage: "denoise",
  pool: "p",
  shape: "d",
  state: "succeeded",
  inputs_missing: 0,
  attempt_count: 2,
  current_attempt: null,
  failures: { unexplained: 1 },
  failure_code: null,
  created_at: at(0),
  ended_at: at(90),
};
const run: Run = {
  processId: 1,
  runId: "one",
  stage: "denoise",
  fromCheckpoint: false,
  beganAtMs: startMs,
  endedAtMs: undefined,
  lastSignAtMs: startMs + 30_000,
  outcome: undefined,
  deviceMs: undefined,
  outputs: [],
  firstStep: 1,
  lastStep: 100,
  checkpoints: [{ atMs: startMs + 10_000, step: 40 }],
};
const worker = (id: string) => ({
  id,
  session_id: id,
  name: id,
  pool: "p",
  provider: "cpu",
  profile: "cpu",
  shapes: ["d"],
  life: 1,
  memory_bytes: 8,
});
const call = (name: string, parts: Partial<ClientCall> = {}): ClientCall => ({
  client: "c",
  call: name,
  request: {},
  askedAtMs: 0,
  answer: undefined,
  answeredAtMs: undefined,
  heard: [],
  isOver: false,
  bytesSha256: undefined,
  refusedWith: undefined,
  ...parts,
});

type Parts = Partial<Omit<Evidence, "database" | "bounds">> & {
  readonly bounds?: Partial<Evidence["bounds"]>;
  readonly database?: Partial<Snapshot>;
};

/** What a rule says of evidence that has these parts and nothing else. */
function saidBy(rule: Rule<Facts>, { database, bounds, ...parts }: Parts): readonly string[] {
  const nothing = { artifacts: undefined, eventCopy: undefined, calls: [], runtimes: [], runs: [], workers: [], tester: [], processes: [] };
  const evidence = { takenAtMs: startMs + 100_000, ...nothing, ...parts };
  const facts = factsOf({ ...evidence, database: { ...empty, ...database }, bounds: { ...defaultBounds, ...bounds } });
  return rule.check(facts).map(({ what }) => what);
}

describe("an attempt that was taken from its worker and never reported", () => {
  const booked = (device_ms: number) =>
    saidBy(books, {
      database: {
        task: [task],
        attempt: [attempt],
        usage: [{ attempt_id: "one", task_id: 1, tenant_id: "t", disposition: "lost", device_ms }],
      },
      runs: [run],
    });

  it("costs at least what was beaten", () => {
    expect(booked(4_999)).toEqual(["4999 ms are booked, 5000 were beaten"]);
    expect(booked(5_000)).toEqual([]);
  });

  it("costs at most the time that passed", () => {
    expect(booked(100_000)).toEqual([]);
    expect(booked(100_251)).toEqual(["100251 ms are booked, it ran for at most 100250"]);
  });
});

describe("a lapsed session", () => {
  const outage = (fromS: number, untilS: number) => ({
    atMs: 0,
    kind: "outage" as const,
    what: "NATS",
    fromMs: startMs + fromS * 1_000,
    untilMs: startMs + untilS * 1_000,
  });
  const judged = (parts: Parts) => saidBy(leases, { ...parts, database: { session: [session], attempt: [attempt], ...parts.database } });

  it("is sound when its lease had run out and the beat path was proven", () => {
    expect(judged({ tester: [outage(10, 40)], database: { canary: [{ last_at: at(99), unbroken_since: at(44) }] } })).toEqual([]);
  });

  it("is none when the farm was away within a lease before", () => {
    expect(judged({ tester: [outage(30, 50)] })).toEqual(["it was ended as lapsed when the farm itself was away"]);
  });

  it("is none when the canary had not beaten for a lease", () => {
    const canary = [{ last_at: at(99), unbroken_since: at(46) }];
    expect(judged({ database: { canary } })).toEqual(["it was ended as lapsed before the canary had beaten for a lease"]);
  });

  it("is why an attempt was taken: one of a session that goes on was not to be", () => {
    const alive = { ...session, is_live: true, end_reason: null, ended_at: null };
    expect(judged({ database: { session: [alive] } })).toEqual(["it was taken as lapsed, and its session was not"]);
    const unnamed = { ...attempt, unnamed_since: at(44) };
    expect(judged({ database: { session: [alive], attempt: [unnamed] } })).toEqual([]);
    expect(judged({ database: { session: [alive], attempt: [{ ...unnamed, unnamed_since: at(46) }] } })).toHaveLength(1);
  });

  it("is never found by the sweep", () => {
    const swept = { ...attempt, error_message: "found without an owner" };
    expect(judged({ database: { attempt: [swept] } })).toEqual(["the sweep found it without an owner"]);
  });
});

describe("an attempt after one that was lost", () => {
  const second: AttemptRow = {
    ...attempt,
    id: "two",
    number: 2,
    worker_id: "w2",
    session_id: "s2",
    state: "succeeded",
    error_class: null,
    started_at: at(61),
  };
  const started = (number: number, message: string) => ({
    job_id: "j",
    number,
    at: at(0),
    kind: "task.started",
    stage: "denoise",
    task_id: 1,
    worker_name: "w",
    message,
    job_state: null,
    render_position: 0,
  });
  const wentOnAt = (step: number, parts: Parts = {}) =>
    saidBy(checkpoints, {
      runs: [run],
      bounds: { checkpointSteps: 40 },
      ...parts,
      database: {
        task: [task],
        attempt: [attempt, second],
        worker: [worker("w1"), worker("w2")],
        event: [started(1, ""), started(2, step === 0 ? "" : `from its checkpoint of step ${step}`)],
      },
    });

  it("goes on at a checkpoint that was written long enough before the end", () => {
    expect(wentOnAt(40)).toEqual([]);
    expect(wentOnAt(0)).toEqual(["it goes on at step 0, a checkpoint of step 40 was written 10000 ms before the end"]);
  });

  it("may lose what could not be kept while nobody heard its worker", () => {
    const unheard = { atMs: 0, kind: "unheard" as const, what: "its agent was frozen", fromMs: startMs + 1_000, untilMs: startMs + 50_000 };
    expect(wentOnAt(0, { tester: [unheard] })).toEqual([]);
  });

  const again = { ...second, worker_id: "w1", session_id: "s1" };
  const other: SessionRow = {
    ...session,
    id: "w2",
    worker_id: "w2",
    is_live: true,
    end_reason: null,
    ended_at: null,
    last_heard_at: at(99),
    lease_until: at(110),
  };
  const judged = (calls: readonly ClientCall[]) =>
    saidBy(budgets, {
      calls,
      database: { task: [task], attempt: [attempt, again], worker: [worker("w1"), worker("w2")], session: [session, other] },
    });

  it("goes to another worker while one lives that could take it", () => {
    expect(judged([])).toEqual(["attempt 2 went to w1 again, while another could take it"]);
  });

  it("goes to the same worker when the other was cordoned", () => {
    expect(judged([call("cordonWorker", { request: { workerId: "w2" }, askedAtMs: startMs })])).toEqual([]);
  });
});

describe("a task that died the first time it ran out of memory", () => {
  const dead: TaskRow = { ...task, state: "failed", failures: { capacity: 1 }, failure_code: "STAGE_OUT_OF_MEMORY" };
  const short: AttemptRow = { ...attempt, state: "failed", error_code: "STAGE_OUT_OF_MEMORY", error_class: "capacity" };
  const judged = (memory_bytes: number, opened_at = at(-10), pool = "p") =>
    saidBy(budgets, {
      database: {
        task: [dead],
        attempt: [short],
        worker: [worker("w1"), { ...worker("w2"), memory_bytes, pool }],
        session: [session, { ...session, id: "s2", worker_id: "w2", opened_at }],
      },
    });

  it("did so rightly where no worker of its pool had more", () => {
    expect(judged(8)).toEqual([]);
    expect(judged(16, at(70))).toEqual([]);
    expect(judged(16, at(-10), "another")).toEqual([]);
  });

  it("did not where another had more", () => {
    expect(judged(16)).toEqual(["it died of 1 failures of class capacity"]);
  });
});

describe("what clients were told", () => {
  const told = (lastEventNumber: string, askedAtMs: number) =>
    call("getJob", { askedAtMs, answeredAtMs: askedAtMs + 1, answer: { job: { jobId: "j", state: 2, lastEventNumber, tenant: "t" } } });
  const job = { id: "j", tenant_id: "t", idempotency_key: null, state: "running", last_event: 9 } as Snapshot["job"][number];

  it("never goes back", () => {
    expect(saidBy(toldStates, { database: { job: [job] }, calls: [told("4", 1), told("3", 5)] })).toEqual([
      "a client was told of event 3 after event 4",
    ]);
    // Asked before the other was answered: either may have come first.
    expect(saidBy(toldStates, { database: { job: [job] }, calls: [told("4", 1), told("3", 2)] })).toEqual([]);
  });

  it("is a job of its own for each submit without a key", () => {
    const submits = [1, 2].map((askedAtMs) => ({ ...told("1", askedAtMs), call: "submitRender" }));
    expect(saidBy(repeatedSubmits, { database: { job: [job] }, calls: submits })).toEqual([
      "2 submits without a key were answered with it",
    ]);
  });

  it("is never an end that did not happen", () => {
    const line = { atMs: 0, kind: "delivered" as const, jobId: "j", eventNumber: 3, type: "job.succeeded" };
    expect(saidBy(webhooks, { tester: [line] })).toEqual(['it was told "job.succeeded", which the log does not say']);
  });
});

it("no work is claimed under an epoch that is over", () => {
  const claim = (atMs: number, farmEpoch: string) => ({
    atMs,
    kind: "claimed" as const,
    attemptId: `at ${atMs}`,
    taskId: "1",
    stage: "denoise",
    sessionId: "s",
    farmEpoch,
    worker: "w",
  });
  expect(saidBy(sessions, { workers: [claim(1, "1"), claim(2, "2")] })).toEqual([]);
  expect(saidBy(sessions, { workers: [claim(1, "2"), claim(2, "1")] })).toEqual(["it was claimed under epoch 1 after one under 2"]);
  expect(saidBy(sessions, { workers: [claim(1, "3")] })).toEqual(["it was claimed under epoch 3, the farm's is 2"]);
});
