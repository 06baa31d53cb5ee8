import fc from "fast-check";
import { expect, test } from "vitest";
import {
  chooseTask,
  type ClaimScene,
  type LaneHead,
  memoryClass,
  type OrderPolicy,
  starvedClasses,
  workerMemoryClass,
} from "../../../services/domain/order.ts";

const policy: OrderPolicy = { floors: [0, 0.1], residentPatienceMs: 10_000 };
const nowMs = 1_000_000;
let lastTask = 0;

function head(fields: Partial<LaneHead> = {}): LaneHead {
  lastTask += 1;
  return {
    taskId: lastTask,
    shape: "denoise/e1",
    memoryClass: 0,
    classRank: 0,
    priority: 0,
    tenant: "a",
    dueAtMs: Infinity,
    tasksLeft: 2,
    queuedAtMs: 1_000,
    readyAtMs: 1_000,
    isLocal: false,
    ...fields,
  };
}

function scene(heads: readonly LaneHead[], fields: Partial<ClaimScene> = {}): ClaimScene {
  return {
    heads,
    tenants: new Map(),
    classes: [0, 0],
    worker: { shapes: ["denoise/e1", "vae_decode/e2", "prepare/-"], memoryClass: 200, residentEngines: ["e1"] },
    leastMemoryClass: 200,
    nowMs,
    ...fields,
  };
}

const standing = (charged: number, weight = 1, isAtLimit = false) => ({ charged, weight, isAtLimit });

type Case = { readonly first: Partial<LaneHead>; readonly second: Partial<LaneHead>; readonly at?: Partial<ClaimScene> };

/** In each, the first comes first; the other is older, so that age never decides for it. */
const cases: Readonly<Record<string, Case>> = {
  "production before benchmark": { first: {}, second: { classRank: 1, priority: 100 } },
  "a benchmark below its floor before production": { first: { classRank: 1 }, second: {}, at: { classes: [95, 5] } },
  "production before a benchmark that has its floor": { first: {}, second: { classRank: 1 }, at: { classes: [89, 11] } },
  "the higher priority, whatever its tenant had": {
    first: { priority: 1, tenant: "b" },
    second: {},
    at: { tenants: new Map([["b", standing(1e9)]]) },
  },
  "the tenant that had less": { first: { tenant: "b" }, second: {}, at: { tenants: new Map([["a", standing(1)]]) } },
  "the tenant that had more, but less for its weight": {
    first: { tenant: "b" },
    second: {},
    at: {
      tenants: new Map([
        ["a", standing(10)],
        ["b", standing(15, 2)],
      ]),
    },
  },
  "a tenant below its limit": {
    first: { tenant: "b" },
    second: {},
    at: {
      tenants: new Map([
        ["a", standing(0, 1, true)],
        ["b", standing(15)],
      ]),
    },
  },
  "what only this large worker can run, though its tenant had more": {
    first: { tenant: "b", memoryClass: 150 },
    second: {},
    at: { leastMemoryClass: 100, tenants: new Map([["b", standing(15)]]) },
  },
  "the less used tenant where all workers are as large": {
    first: { tenant: "a" },
    second: { tenant: "b", memoryClass: 150 },
    at: { tenants: new Map([["b", standing(15)]]) },
  },
  "what is due first, though it is further from its end": { first: { dueAtMs: 5, tasksLeft: 9 }, second: { dueAtMs: 6 } },
  "a deadline before none": { first: { dueAtMs: nowMs * 9, tasksLeft: 9 }, second: {} },
  "what needs no other engine": { first: { tasksLeft: 2 }, second: { shape: "vae_decode/e2", tasksLeft: 1, readyAtMs: nowMs - 9_000 } },
  "what has waited for another engine for long": {
    first: { shape: "vae_decode/e2", tasksLeft: 1, readyAtMs: nowMs - 11_000 },
    second: { tasksLeft: 2 },
  },
  "what needs no engine at all as what has its own": { first: { shape: "prepare/-", tasksLeft: 1, readyAtMs: nowMs }, second: {} },
  "what is nearest its render's end": { first: { tasksLeft: 1 }, second: { tasksLeft: 2 } },
  "what takes this worker's results": { first: { isLocal: true, queuedAtMs: 500 }, second: { queuedAtMs: 500 } },
};

test.each(Object.entries(cases))("first comes %s", (_what, { first, second, at }) => {
  const older = head({ queuedAtMs: 500, ...second });
  const chosen = head(first);
  expect(chooseTask(scene([older, chosen], at), policy)).toBe(chosen.taskId);
  expect(chooseTask(scene([chosen, older], at), policy)).toBe(chosen.taskId);
});

test("the oldest comes first where nothing else tells two tasks apart, and of equals the lower id", () => {
  const [older, younger] = [head({ queuedAtMs: 1 }), head({ queuedAtMs: 2 })];
  expect(chooseTask(scene([younger, older]), policy)).toBe(older.taskId);
  const [low, high] = [head(), head()];
  expect(chooseTask(scene([high, low]), policy)).toBe(low.taskId);
});

test("nothing is chosen that the worker cannot run, or of a tenant at its limit", () => {
  const heads = [head({ shape: "denoise/e9" }), head({ memoryClass: 201 }), head({ tenant: "b" })];
  expect(chooseTask(scene(heads, { tenants: new Map([["b", standing(0, 1, true)]]) }), policy)).toBeUndefined();
});

const anyHead = fc.record({
  shape: fc.constantFrom("denoise/e1", "vae_decode/e2", "prepare/-"),
  memoryClass: fc.constantFrom(0, 150),
  classRank: fc.constantFrom(0, 1),
  priority: fc.constantFrom(-5, 0, 5),
  tenant: fc.constantFrom("a", "b", "c"),
  tasksLeft: fc.integer({ min: 1, max: 9 }),
  readyAtMs: fc.integer({ min: nowMs - 20_000, max: nowMs }),
});

test("the choice does not depend on the order in which heads are listed, and is one of them", () => {
  fc.assert(
    fc.property(fc.array(anyHead, { minLength: 1, maxLength: 12 }), fc.array(fc.nat(100), { minLength: 3, maxLength: 3 }), (drawn, had) => {
      const heads = drawn.map(head);
      const tenants = new Map(["a", "b", "c"].map((name, index) => [name, standing(had[index] ?? 0)]));
      const chosen = chooseTask(scene(heads, { tenants }), policy);
      expect(heads.map(({ taskId }) => taskId)).toContain(chosen);
      expect(chooseTask(scene(heads.toReversed(), { tenants }), policy)).toBe(chosen);
    }),
  );
});

test("tenants with endless work are served in proportion to their weights, and a class that always has work gets its floor", () => {
  const weights = new Map([
    ["a", 1],
    ["b", 2],
    ["c", 5],
  ]);
  const had = new Map([...weights.keys()].map((tenant) => [tenant, 0]));
  const classes = [0, 0];
  for (let turn = 0; turn < 8_000; turn += 1) {
    const heads = [...weights.keys()].map((tenant) => head({ tenant }));
    const benchmark = head({ classRank: 1, tenant: "lab" });
    const tenants = new Map([...weights].map(([tenant, weight]) => [tenant, standing(had.get(tenant) ?? 0, weight)]));
    const chosen = chooseTask(scene([...heads, benchmark], { tenants, classes }), policy);
    const tenant = heads.find(({ taskId }) => taskId === chosen)?.tenant;
    if (tenant !== undefined) had.set(tenant, (had.get(tenant) ?? 0) + 1);
    classes[tenant === undefined ? 1 : 0] = (classes[tenant === undefined ? 1 : 0] ?? 0) + 1;
  }
  expect(classes[1]).toBeCloseTo(800, -1);
  const unit = (had.get("a") ?? 0) / 1;
  expect((had.get("b") ?? 0) / unit).toBeCloseTo(2, 1);
  expect((had.get("c") ?? 0) / unit).toBeCloseTo(5, 1);
});

test("a task fits a worker of as much memory as it needs and a little more, and never one with less", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 45 }), fc.integer({ min: 1, max: 2 ** 45 }), (need, memory) => {
      const fits = memoryClass(need) <= workerMemoryClass(memory);
      if (need > memory && memory > 1024 ** 2) expect(fits).toBe(false);
      if (need * 1.1 <= memory) expect(fits).toBe(true);
    }),
  );
  expect(memoryClass(2 ** 60)).toBeLessThanOrEqual(workerMemoryClass(0));
});

test("no class is below its floor while nothing was charged", () => {
  expect(starvedClasses([0, 0], [0.5, 0.5])).toEqual([]);
  expect(starvedClasses([9, 1], [0, 0.2])).toEqual([1]);
});
