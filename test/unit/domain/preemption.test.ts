import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  choosePreemptions,
  defaultPreemption,
  mayMakeWay,
  type Preemptable,
  type PreemptionPolicy,
  type RunningAttempt,
  runLeftMs,
  type WaitingTask,
} from "../../../services/domain/preemption.ts";

const policy: PreemptionPolicy = { ...defaultPreemption, deadlines: true };

const run: RunningAttempt = {
  attemptId: "a",
  taskId: 1,
  number: 1,
  pool: "pool",
  workerId: "w1",
  classRank: 1,
  priority: 0,
  deadlineMs: null,
  phase: "compute",
  step: 20,
  steps: 100,
  ranMs: 100_000,
  keepsCheckpoints: true,
  unkeptMs: 1_000,
  expectedMs: 500_000,
  timesPreempted: 0,
};

const gibibyte = 1024 ** 3;
const task: WaitingTask = {
  taskId: 9,
  pool: "pool",
  shape: "s",
  memoryBytes: 0,
  classRank: 0,
  priority: 0,
  avoid: [],
  deadlineMs: null,
  slackMs: null,
};

type Change = {
  readonly running?: readonly RunningAttempt[];
  readonly waiting?: readonly WaitingTask[];
  readonly idle?: readonly string[];
};

function snapshot({ running = [run], waiting = [task], idle = [] }: Change = {}, open: Preemptable["open"] = []): Preemptable {
  const names = [...new Set([...running.map(({ workerId }) => workerId), ...idle])];
  return {
    running,
    waiting,
    workers: names.map((workerId) => ({ workerId, pool: "pool", shapes: ["s"], memoryBytes: 24 * gibibyte })),
    open,
  };
}

const victims = (change?: Change, rules = policy) => choosePreemptions(snapshot(change), rules);

describe("what makes way", () => {
  it("is a run of a lower class, of a priority lower by the margin, or without a deadline that the task would miss else", () => {
    expect(victims()).toMatchObject([{ attemptId: "a", workerId: "w1", beneficiaryId: 9, reason: "class", losesAll: false }]);
    expect(victims({ waiting: [{ ...task, classRank: 2 }] })).toEqual([]);
    expect(victims({ waiting: [{ ...task, classRank: 1, priority: 10 }] })).toMatchObject([{ reason: "priority" }]);
    expect(victims({ waiting: [{ ...task, classRank: 1, priority: 9 }] })).toEqual([]);
    const due = { ...task, classRank: 1, deadlineMs: 300_000, slackMs: 100_000 };
    expect(victims({ waiting: [due] })).toMatchObject([{ reason: "deadline" }]);
    expect(victims({ waiting: [due] }, { ...policy, deadlines: false })).toEqual([]);
  });

  it.each<[string, Partial<WaitingTask>, Partial<RunningAttempt>]>([
    ["would be missed anyhow", { slackMs: -1 }, {}],
    ["is kept without it", { slackMs: 400_001 }, {}],
    ["is later than the run's own", {}, { deadlineMs: 200_000 }],
    ["is of a lower priority than the run", {}, { priority: 1 }],
  ])("is nothing for a deadline that %s", (_why, waits, runs) => {
    const due = { ...task, classRank: 1, deadlineMs: 300_000, slackMs: 100_000, ...waits };
    expect(victims({ waiting: [due], running: [{ ...run, ...runs }] })).toEqual([]);
  });

  it.each<[string, Partial<RunningAttempt>]>([
    ["has run for less than minRun", { ranMs: 59_999 }],
    ["does not compute", { phase: "finish" }],
    ["made way three times", { timesPreempted: 3 }],
    ["is in its last tenth", { step: 90 }],
    ["has little left", { step: 80, ranMs: 100_000 }],
    ["would lose more than is left of it", { unkeptMs: 400_001 }],
    ["has told no checkpoint, however young", { unkeptMs: null, expectedMs: 10_000_000 }],
    ["keeps nothing and has done much", { keepsCheckpoints: false, unkeptMs: null }],
  ])("is no run that %s", (_why, change) => {
    expect(mayMakeWay({ ...run, ...change }, policy)).toBe(false);
    expect(victims({ running: [{ ...run, ...change }] })).toEqual([]);
  });

  it("is a run that keeps nothing only while it has done little of what it is expected to", () => {
    const young = { ...run, keepsCheckpoints: false, unkeptMs: null, expectedMs: 2_000_000, step: 5, ranMs: 99_000 };
    expect(victims({ running: [young] })).toMatchObject([{ losesAll: true }]);
    expect(victims({ running: [{ ...young, ranMs: 100_001 }] })).toEqual([]);
  });

  it("is what loses least, whatever its order among the runs", () => {
    const running = [
      { ...run, attemptId: "much", workerId: "w1", unkeptMs: 9_000 },
      { ...run, attemptId: "little", workerId: "w2", unkeptMs: 10 },
      { ...run, attemptId: "more", workerId: "w3", unkeptMs: 5_000 },
    ];
    expect(victims({ running })).toMatchObject([{ attemptId: "little" }]);
    expect(victims({ running: running.toReversed() })).toMatchObject([{ attemptId: "little" }]);
  });

  it("is nothing while a worker is free for the task; the next task finds none free", () => {
    expect(victims({ idle: ["w2"] })).toEqual([]);
    expect(victims({ idle: ["w2"], waiting: [task, { ...task, taskId: 10 }] })).toMatchObject([{ beneficiaryId: 10 }]);
  });

  it("is nothing on a worker that lacks the engine, is avoided while another could, or has an attempt waiting for the slot", () => {
    const elsewhere = { ...task, shape: "other" };
    expect(victims({ waiting: [elsewhere] })).toEqual([]);
    const other = { ...run, attemptId: "b", workerId: "w2", timesPreempted: 3 };
    expect(victims({ running: [run, other], waiting: [{ ...task, avoid: ["w1"] }] })).toEqual([]);
    expect(victims({ waiting: [{ ...task, avoid: ["w1"] }] })).toHaveLength(1);
    expect(victims({ running: [run, { ...run, attemptId: "ahead", phase: "fetch", ranMs: 0 }] })).toEqual([]);
    expect(victims({ running: [run, { ...run, attemptId: "done", phase: "finish" }] })).toHaveLength(1);
  });
});

it("what is left of a run is known from its own pace; of a later try, and before the first step, from its shape too", () => {
  expect(runLeftMs({ ...run, expectedMs: 9_000_000 })).toBe(400_000);
  expect(runLeftMs({ ...run, number: 2, ranMs: 10_000 })).toBe(400_000);
  expect(runLeftMs({ ...run, number: 2, ranMs: 1_000_000 })).toBe(4_000_000);
  expect(runLeftMs({ ...run, step: 0 })).toBe(400_000);
  expect(runLeftMs({ ...run, steps: 0, expectedMs: 0 })).toBe(0);
});

const someRun = fc.record({
  attemptId: fc.uuid(),
  taskId: fc.integer({ min: 1, max: 1_000 }),
  number: fc.integer({ min: 1, max: 3 }),
  pool: fc.constantFrom("p1", "p2"),
  workerId: fc.constantFrom("w1", "w2", "w3", "w4", "w5"),
  classRank: fc.integer({ min: 0, max: 2 }),
  priority: fc.integer({ min: -30, max: 30 }),
  deadlineMs: fc.option(fc.integer({ min: -1_000, max: 1_000_000 })),
  phase: fc.constantFrom("fetch" as const, "compute" as const, "finish" as const),
  step: fc.integer({ min: 0, max: 100 }),
  steps: fc.constant(100),
  ranMs: fc.integer({ min: 0, max: 1_000_000 }),
  keepsCheckpoints: fc.boolean(),
  unkeptMs: fc.option(fc.integer({ min: 0, max: 100_000 })),
  expectedMs: fc.integer({ min: 0, max: 2_000_000 }),
  timesPreempted: fc.integer({ min: 0, max: 4 }),
});

const someTask = fc.record({
  taskId: fc.integer({ min: 2_000, max: 9_000 }),
  pool: fc.constantFrom("p1", "p2"),
  shape: fc.constantFrom("s", "t"),
  memoryBytes: fc.constantFrom(0, 16 * gibibyte, 40 * gibibyte),
  classRank: fc.integer({ min: 0, max: 2 }),
  priority: fc.integer({ min: -30, max: 30 }),
  avoid: fc.subarray(["w1", "w2"]),
  deadlineMs: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
  slackMs: fc.option(fc.integer({ min: -1_000, max: 1_000_000 })),
});

const someFarm = fc.record({
  running: fc.uniqueArray(someRun, { selector: ({ attemptId }) => attemptId, maxLength: 12 }),
  waiting: fc.uniqueArray(someTask, { selector: ({ taskId }) => taskId, maxLength: 8 }),
  workers: fc.uniqueArray(
    fc.record({
      workerId: fc.constantFrom("w1", "w2", "w3", "w4", "w5"),
      pool: fc.constantFrom("p1", "p2"),
      shapes: fc.subarray(["s", "t"]),
      memoryBytes: fc.constantFrom(24 * gibibyte, 80 * gibibyte),
    }),
    { selector: ({ workerId }) => workerId },
  ),
  open: fc.array(fc.record({ pool: fc.constantFrom("p1", "p2"), workerId: fc.constantFrom("w1", "w2") }), { maxLength: 3 }),
});

it("whatever the farm: each choice obeys every rule, and nobody is chosen twice", () => {
  fc.assert(
    fc.property(someFarm, fc.integer({ min: 0, max: 3 }), (farm, mostOpen) => {
      const rules = { ...policy, mostOpen };
      const chosen = choosePreemptions(farm, rules);
      for (const key of ["attemptId", "workerId", "beneficiaryId"] as const)
        expect(new Set(chosen.map((one) => one[key])).size).toBe(chosen.length);
      for (const { attemptId, beneficiaryId, workerId, reason } of chosen) {
        const victim = farm.running.find((one) => one.attemptId === attemptId);
        const beneficiary = farm.waiting.find(({ taskId }) => taskId === beneficiaryId);
        const worker = farm.workers.find((one) => one.workerId === workerId);
        if (victim === undefined || beneficiary === undefined || worker === undefined) throw new TypeError("chosen out of nothing");
        expect(victim.workerId).toBe(workerId);
        expect(mayMakeWay(victim, rules)).toBe(true);
        expect(worker.pool).toBe(beneficiary.pool);
        expect(worker.shapes).toContain(beneficiary.shape);
        expect(worker.memoryBytes).toBeGreaterThan(beneficiary.memoryBytes);
        expect(farm.open.map((one) => one.workerId)).not.toContain(workerId);
        expect(beneficiary.classRank).toBeLessThanOrEqual(victim.classRank);
        if (reason !== "class") expect(beneficiary.priority).toBeGreaterThanOrEqual(victim.priority + (reason === "priority" ? 10 : 0));
      }
      for (const pool of ["p1", "p2"]) {
        const opened = chosen.filter(({ beneficiaryId }) => farm.waiting.find(({ taskId }) => taskId === beneficiaryId)?.pool === pool);
        const already = farm.open.filter((one) => one.pool === pool).length;
        expect(opened.length).toBeLessThanOrEqual(Math.max(0, mostOpen - already));
      }
      expect(choosePreemptions({ ...farm, running: farm.running.toReversed(), workers: farm.workers.toReversed() }, rules)).toEqual(chosen);
    }),
  );
});
