import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Constraint,
  explainTask,
  type ExplainFacts,
  type ExplainWorker,
  type OpenTask,
  summarize,
} from "../../../services/domain/explain.ts";

const shape = "denoise/e1";
const gibibyte = 1024 ** 3;
const none = { better: 0, fairer: 0, own: 0 };

function task(overrides: Partial<OpenTask> = {}): OpenTask {
  return {
    taskId: 1,
    stage: "denoise",
    label: "denoise",
    renderPosition: 0,
    tenant: "acme",
    pool: "gpu",
    shape,
    model: "demo",
    state: "ready",
    missing: [],
    delayMs: 0,
    failures: {},
    ahead: none,
    memoryBytes: 0,
    avoid: [],
    workerName: undefined,
    keptStep: undefined,
    ...overrides,
  };
}

function worker(name: string, overrides: Partial<ExplainWorker> = {}): ExplainWorker {
  const healthy = {
    pool: "gpu",
    shapes: [shape],
    memoryBytes: 80 * gibibyte,
    quarantined: [],
    health: "healthy",
    isLive: true,
    isCordoned: false,
    isBusy: false,
  } as const;
  return { workerId: `id of ${name}`, name, ...healthy, ...overrides };
}

function facts(overrides: Partial<ExplainFacts> = {}): ExplainFacts {
  const tasks = overrides.tasks ?? [task()];
  return {
    jobState: "queued",
    tasks,
    openTasks: tasks.length,
    workers: [worker("w1")],
    holds: [],
    limits: [],
    pools: ["gpu"],
    ...overrides,
  };
}

const told = (constraints: readonly Constraint[]) => constraints.map(({ kind, message, remedy }) => [kind, message, remedy]);

const busy = { isBusy: true };
const cordoned = { isCordoned: true };
const raise = "wait, start another worker, or raise the job's priority (vapfarm update JOB --priority N)";

type Case = readonly [string, OpenTask, Partial<ExplainFacts>, readonly (readonly [string, string, string])[]];

const cases: readonly Case[] = [
  ["that runs", task({ state: "running", workerName: "w7" }), {}, [["running", "runs on worker w7", ""]]],
  [
    "that runs and has a checkpoint",
    task({ state: "running", workerName: "w7", keptStep: 40 }),
    {},
    [["running", "runs on worker w7, its last checkpoint is of step 40", ""]],
  ],
  ["that a free worker takes", task(), {}, [["about_to_start", "a worker is free and takes it next", ""]]],
  [
    "that is second with two workers free",
    task({ ahead: { ...none, own: 1 } }),
    { workers: [worker("w1"), worker("w2")] },
    [["about_to_start", "2 workers are free and one takes it next", ""]],
  ],
  [
    "behind others",
    task({ ahead: { better: 1, fairer: 1, own: 1 } }),
    {},
    [
      [
        "behind_others",
        "3 ready tasks of denoise/e1 in pool gpu come first (1 of a higher class or priority, 1 of tenants that had less device time, 1 of its own tenant), 1 worker is free",
        raise,
      ],
    ],
  ],
  [
    "that needs more memory than any worker has",
    task({ memoryBytes: 90 * gibibyte }),
    { workers: [worker("w1"), worker("w2", { memoryBytes: 24 * gibibyte, isBusy: true })] },
    [
      [
        "memory_missing",
        "denoise/e1 needs 90.0 GiB, the largest live worker of pool gpu that holds it has 80.0 GiB",
        "start a worker of pool gpu with more device memory",
      ],
    ],
  ],
  [
    "that ran out of the memory of the largest worker",
    task({ memoryBytes: 24 * gibibyte + 1 }),
    { workers: [worker("w2", { memoryBytes: 24 * gibibyte })] },
    [
      [
        "memory_missing",
        "denoise/e1 needs more than 24.0 GiB, the largest live worker of pool gpu that holds it has 24.0 GiB",
        "start a worker of pool gpu with more device memory",
      ],
    ],
  ],
  [
    "whose only worker with the memory is busy",
    task({ memoryBytes: 40 * gibibyte }),
    { workers: [worker("w1", busy), worker("w2", { memoryBytes: 24 * gibibyte })] },
    [["workers_busy", "1 of 1 worker that holds the engine is busy", "wait, or start another worker"]],
  ],
  [
    "whose tenant is at its limit",
    task(),
    {
      limits: [
        { tenant: "acme", running: 2, maxRunning: 2 },
        { tenant: "other", running: 1, maxRunning: 1 },
      ],
    },
    [["tenant_limit", "tenant acme runs 2 of the 2 tasks that it may run at once", "wait, or have the limit raised (vapfarm tenants set)"]],
  ],
  [
    "behind others while all workers are busy",
    task({ ahead: { ...none, better: 1 } }),
    { workers: [worker("w1", busy)] },
    [
      ["workers_busy", "1 of 1 worker that holds the engine is busy", "wait, or start another worker"],
      ["behind_others", "1 ready task of denoise/e1 in pool gpu comes first (1 of a higher class or priority), 0 workers are free", raise],
    ],
  ],
  [
    "whose holders are busy or cordoned",
    task(),
    { workers: [worker("w1", busy), worker("w2", busy), worker("w3", cordoned), worker("w4", { shapes: ["prepare/-"] })] },
    [
      ["workers_busy", "2 of 3 workers that hold the engine are busy, 1 is cordoned", "wait, or start another worker"],
      ["cordoned", "1 of 3 workers that hold the engine is cordoned: w3", "vapfarm workers uncordon w3"],
    ],
  ],
  [
    "of no engine whose one worker is busy",
    task({ shape: "prepare/-" }),
    { workers: [worker("w1", { ...busy, shapes: ["prepare/-"] })] },
    [["workers_busy", "1 of 1 worker that can run it is busy", "wait, or start another worker"]],
  ],
  [
    "whose only holder is cordoned",
    task(),
    { workers: [worker("w1", cordoned), worker("w2", { shapes: [] })] },
    [["cordoned", "1 of 1 worker that holds the engine is cordoned: w1", "vapfarm workers uncordon w1"]],
  ],
  [
    "whose pool has only lost workers",
    task(),
    { workers: [worker("w1", { isLive: false }), worker("w2", { pool: "other" })] },
    [["no_worker", "no worker of pool gpu is live; 1 is known and not live: w1", "start a worker of pool gpu"]],
  ],
  [
    "whose engine nobody holds",
    task(),
    { workers: [worker("w1", { shapes: ["prepare/-"] }), worker("w2", { shapes: ["denoise/e2"] })] },
    [
      [
        "engine_missing",
        "none of 2 live workers of pool gpu holds denoise/e1 of model demo",
        "roll model demo out to a worker of pool gpu, as the coordinator has it",
      ],
    ],
  ],
  [
    "that avoids the only free worker",
    task({ avoid: ["id of w1"] }),
    { workers: [worker("w1"), worker("w2", busy)] },
    [
      ["workers_busy", "1 of 2 workers that hold the engine is busy, 1 is avoided", "wait, or start another worker"],
      [
        "avoided",
        "its attempts on w1 ended badly before, and others could take it: w2",
        "look at that worker; when the others should not be waited for, cordon them",
      ],
    ],
  ],
  [
    "that avoids a worker, all others being cordoned",
    task({ avoid: ["id of w1"] }),
    { workers: [worker("w1"), worker("w2", cordoned)] },
    [["about_to_start", "a worker is free and takes it next", ""]],
  ],
  [
    "that is held by farm, pool and tenant",
    task(),
    {
      holds: [
        { scope: "farm", name: "", reason: "power" },
        { scope: "pool", name: "gpu", reason: "" },
        { scope: "pool", name: "other", reason: "" },
        { scope: "tenant", name: "acme", reason: "unpaid" },
        { scope: "tenant", name: "gpu", reason: "" },
      ],
    },
    [
      ["held", "the farm is held: power", "vapfarm release farm"],
      ["held", "pool gpu is held", "vapfarm release pool gpu"],
      ["held", "tenant acme is held: unpaid", "vapfarm release tenant acme"],
    ],
  ],
  [
    "in its back-off, of a pool without workers",
    task({ state: "delayed", delayMs: 2_500, failures: { transient: 2 } }),
    { workers: [] },
    [
      ["back_off", "tried again in 2.5 s after failures (2 transient)", ""],
      ["no_worker", "no worker of pool gpu is live", "start a worker of pool gpu"],
    ],
  ],
  [
    "that waits for others, its workers being busy",
    task({ state: "blocked", missing: [{ taskId: 9, stage: "prepare", state: "running" }] }),
    { workers: [worker("w1", busy)] },
    [["inputs_missing", "prepare (task 9, running) has not succeeded", ""]],
  ],
];

describe("a task", () => {
  it.each(cases)("%s is explained", (...[, open, overrides, expected]) => {
    expect(told(explainTask(open, facts({ ...overrides, tasks: [open] })))).toEqual(expected);
  });

  it("always has a constraint, and is about to start or runs only when nothing else is said", () => {
    const anyWorker = fc.record({
      workerId: fc.constantFrom("a", "b", "c"),
      name: fc.string(),
      pool: fc.constantFrom("gpu", "cpu"),
      shapes: fc.subarray([shape, "prepare/-"]),
      isLive: fc.boolean(),
      isCordoned: fc.boolean(),
      quarantined: fc.subarray([shape, "prepare/-"]),
      health: fc.constantFrom("healthy" as const, "suspended" as const, "probation" as const),
      isBusy: fc.boolean(),
      memoryBytes: fc.constantFrom(0, 24 * gibibyte),
    });
    const states = fc.constantFrom("blocked" as const, "ready" as const, "running" as const, "delayed" as const);
    fc.assert(
      fc.property(
        fc.array(anyWorker),
        fc.record({
          state: states,
          ahead: fc.record({ better: fc.nat(1), fairer: fc.nat(1), own: fc.nat(1) }),
          avoid: fc.subarray(["a", "b", "c"]),
        }),
        (workers, open) => {
          const kinds = explainTask(task(open), facts({ workers })).map(({ kind }) => kind);
          expect(kinds.length).toBeGreaterThan(0);
          expect(new Set(kinds).size).toBe(kinds.length);
          if (kinds.includes("about_to_start") || kinds.includes("running")) expect(kinds).toHaveLength(1);
        },
      ),
    );
  });
});

describe("a job's summary", () => {
  const running = task({ taskId: 2, state: "running", workerName: "w1" });
  const blocked = task({ taskId: 3, state: "blocked", missing: [{ taskId: 2, stage: "denoise", state: "running" }] });
  it.each<readonly [string, Partial<ExplainFacts>]>([
    ["the job failed: nothing waits", { jobState: "failed", tasks: [] }],
    ["no task of it is open", { tasks: [] }],
    ["1 task runs", { tasks: [running, blocked] }],
    ["waits for a worker: 1 of 1 worker that holds the engine is busy", { workers: [worker("w1", busy)] }],
    [
      "2 tasks run; the next waits for a worker: 1 of 1 worker that holds the engine is busy",
      { tasks: [task(), running, running, blocked], workers: [worker("w1", busy)] },
    ],
    ["is held: the farm is held: power", { holds: [{ scope: "farm", name: "", reason: "power" }] }],
    ["waits for inputs: denoise (task 2, running) has not succeeded", { tasks: [blocked] }],
    ["is about to start: a worker is free and takes it next", {}],
  ])("says: %s", (line, overrides) => {
    expect(summarize(facts(overrides))).toBe(line);
  });
});
