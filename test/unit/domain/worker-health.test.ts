import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  countAgainst,
  decideHealth,
  type EndedAttempt,
  type HealthFacts,
  type HealthVerdict,
  type JudgedWorker,
} from "../../../services/domain/worker-health.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function ended(overrides: Partial<EndedAttempt> = {}): EndedAttempt {
  return { taskId: 1, tenant: "a", isSuccess: false, isBlamed: true, succeededElsewhere: false, failedElsewhere: false, ...overrides };
}

const succeeded = (taskId: number): EndedAttempt => ended({ taskId, isSuccess: true, isBlamed: false });
const tenants = (...names: readonly string[]) => names.map((tenant, taskId) => ended({ tenant, taskId }));
const proven = (count: number) => Array.from({ length: count }, (_unused, taskId) => ended({ taskId, succeededElsewhere: true }));

function worker(overrides: Partial<JudgedWorker> = {}): JudgedWorker {
  return {
    workerId: "w",
    pool: "p",
    isLive: true,
    state: "healthy",
    spells: 0,
    isRenewed: false,
    elapsedMs: 0,
    leftMs: 0,
    ended: [],
    ...overrides,
  };
}

/** One worker of a pool of ten. */
const verdictOn = (overrides: Partial<JudgedWorker>): HealthVerdict | undefined =>
  decideHealth({ workers: [worker(overrides)], live: { p: 10 } }).verdicts[0];

const anyEnded: fc.Arbitrary<EndedAttempt> = fc.record({
  taskId: fc.nat(20),
  tenant: fc.constantFrom("a", "b", "c", "d", "e"),
  isSuccess: fc.boolean(),
  isBlamed: fc.boolean(),
  succeededElsewhere: fc.boolean(),
  failedElsewhere: fc.boolean(),
});
const anyWorker: fc.Arbitrary<Omit<JudgedWorker, "workerId">> = fc.record({
  pool: fc.constantFrom("p", "q"),
  isLive: fc.boolean(),
  state: fc.constantFrom("healthy", "suspended", "probation"),
  spells: fc.nat(5),
  isRenewed: fc.boolean(),
  elapsedMs: fc.nat(10 * hourMs),
  leftMs: fc.integer({ min: -hourMs, max: hourMs }),
  ended: fc.array(anyEnded, { maxLength: 20 }),
});
/** Live workers are at least those that are judged. */
const anyFacts: fc.Arbitrary<HealthFacts> = fc.tuple(fc.array(anyWorker, { maxLength: 12 }), fc.nat(6)).map(([some, others]) => {
  const workers = some.map((each, index) => ({ ...each, workerId: `w${index}` }));
  const liveOf = (pool: string): number => workers.filter((each) => each.pool === pool && each.isLive).length + others;
  return { workers, live: { p: liveOf("p"), q: liveOf("q") } };
});

describe("what counts against a worker", () => {
  it.each<readonly [string, readonly EndedAttempt[], number]>([
    ["tasks that later succeeded elsewhere, whosever they are", proven(3), 3],
    ["each such task once", [...proven(1), ...proven(1)], 1],
    ["several tenants whose tasks failed alike", tenants("a", "b", "c"), 3],
    ["each tenant once", tenants("a", "b", "b", "b"), 2],
    ["not one tenant's tasks alone", tenants("a", "a", "a", "a", "a"), 0],
    ["not a task that fails elsewhere too", tenants("a", "b", "c").map((each) => ({ ...each, failedElsewhere: true })), 0],
    ["a task that failed elsewhere and then succeeded there", [ended({ failedElsewhere: true, succeededElsewhere: true })], 1],
    ["nothing that is nobody's fault", tenants("a", "b", "c").map((each) => ({ ...each, isBlamed: false })), 0],
  ])("%s", (_name, attempts, count) => {
    expect(countAgainst(attempts)).toBe(count);
  });

  it("is never more for one tenant's tasks that have succeeded nowhere, however many fail and whatever else it ended", () => {
    const oneTenant = fc.array(anyEnded.map((each) => ({ ...each, tenant: "bad", succeededElsewhere: false })));
    const good = fc.array(anyEnded.map((each) => ({ ...each, isBlamed: false })));
    fc.assert(
      fc.property(oneTenant, good, (bad, rest) => {
        expect(countAgainst([...bad, ...rest])).toBe(0);
      }),
    );
  });

  it("is at least k when tasks of k tenants failed there alone", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 30 }), (k) => {
        expect(countAgainst(tenants(...Array.from({ length: k }, (_unused, index) => `t${index}`)))).toBe(k);
      }),
    );
  });
});

describe("a healthy worker", () => {
  it("is suspended for a minute when three count against it", () => {
    expect(verdictOn({ ended: tenants("a", "b", "c") })).toEqual({
      workerId: "w",
      state: "suspended",
      forMs: minuteMs,
      spells: 1,
      reason: "3 of its last 3 attempts failed",
    });
  });

  it("is not for two, nor where they are few of what it ended", () => {
    expect(verdictOn({ ended: tenants("a", "b") })).toBeUndefined();
    const most = Array.from({ length: 17 }, (_unused, index) => succeeded(100 + index));
    expect(verdictOn({ ended: [...tenants("a", "b", "c"), ...most] })).toBeUndefined();
  });

  it("is suspended for twice as long each time, an hour at most", () => {
    const forMs = [0, 1, 2, 5, 6, 50].map((spells) => verdictOn({ spells, ended: proven(3) })?.forMs);
    expect(forMs).toEqual([minuteMs, 2 * minuteMs, 4 * minuteMs, 32 * minuteMs, hourMs, hourMs]);
  });

  it("has its suspensions forgotten after six hours", () => {
    expect(verdictOn({ spells: 3, elapsedMs: 6 * hourMs })).toMatchObject({ state: "healthy", spells: 0 });
    expect(verdictOn({ spells: 3, elapsedMs: 6 * hourMs - 1 })).toBeUndefined();
  });
});

describe("a suspended worker", () => {
  it("stays so until its time is over, then it is on probation", () => {
    expect(verdictOn({ state: "suspended", leftMs: 1, spells: 1, ended: proven(9) })).toBeUndefined();
    expect(verdictOn({ state: "suspended", leftMs: 0, spells: 1 })).toMatchObject({ state: "probation", spells: 1 });
  });

  it("is healthy at once with another release or profile", () => {
    expect(verdictOn({ state: "suspended", leftMs: hourMs, spells: 4, isRenewed: true })).toMatchObject({ state: "healthy", spells: 0 });
  });
});

describe("a worker on probation", () => {
  it("is healthy after two successes, and remembers its suspensions", () => {
    expect(verdictOn({ state: "probation", spells: 2, ended: [succeeded(1)] })).toBeUndefined();
    expect(verdictOn({ state: "probation", spells: 2, ended: [succeeded(1), succeeded(2)] })).toMatchObject({
      state: "healthy",
      spells: 2,
    });
  });

  it("is suspended for longer by one failure, but not by a task that fails elsewhere too", () => {
    const failed = { state: "probation", spells: 1, ended: [succeeded(1), ended({ taskId: 2 })] } as const;
    expect(verdictOn(failed)).toMatchObject({ state: "suspended", forMs: 2 * minuteMs, spells: 2 });
    expect(verdictOn({ ...failed, ended: [ended({ failedElsewhere: true })] })).toBeUndefined();
  });

  it("leads back to health over the whole path", () => {
    const judge = (overrides: Partial<JudgedWorker>): HealthVerdict => verdictOn(overrides) ?? expect.fail("no verdict");
    const first = judge({ ended: proven(3) });
    const second = judge({ state: first.state, spells: first.spells, leftMs: 0 });
    const third = judge({ state: second.state, spells: second.spells, ended: [ended()] });
    const fourth = judge({ state: third.state, spells: third.spells, leftMs: -1 });
    const fifth = judge({ state: fourth.state, spells: fourth.spells, ended: [succeeded(1), succeeded(2)] });
    const states = [first, second, third, fourth, fifth].map(({ state, forMs = 0 }) => [state, forMs / minuteMs]);
    expect(states).toEqual([
      ["suspended", 1],
      ["probation", 0],
      ["suspended", 2],
      ["probation", 0],
      ["healthy", 0],
    ]);
  });
});

describe("a pool", () => {
  const suspendedAfter = ({ workers }: HealthFacts, verdicts: readonly HealthVerdict[], pool: string): number =>
    workers.filter((each) => {
      const state = verdicts.find(({ workerId }) => workerId === each.workerId)?.state ?? each.state;
      return each.pool === pool && each.isLive && state === "suspended";
    }).length;

  it("never has more than half of its live workers suspended, whatever happened", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { verdicts } = decideHealth(facts);
        for (const pool of ["p", "q"]) expect(suspendedAfter(facts, verdicts, pool)).toBeLessThanOrEqual((facts.live[pool] ?? 0) / 2);
      }),
    );
  });

  it("has one verdict for each worker at most, which changes something, and says who was held back", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { verdicts, heldBack } = decideHealth(facts);
        const named = [...verdicts.map(({ workerId }) => workerId), ...heldBack];
        expect(new Set(named).size).toBe(named.length);
        for (const { workerId, state, spells } of verdicts) {
          const before = facts.workers.find((each) => each.workerId === workerId);
          expect(before?.isRenewed === true || before?.state !== state || before.spells !== spells).toBe(true);
        }
      }),
    );
  });

  it("of one or two keeps its last usable worker, and says that it was held back", () => {
    const guilty = worker({ workerId: "a", ended: proven(3) });
    expect(decideHealth({ workers: [guilty], live: { p: 1 } })).toEqual({ verdicts: [], heldBack: ["a"] });
    const worse = worker({ workerId: "b", ended: proven(4) });
    const both = decideHealth({ workers: [guilty, worse], live: { p: 2 } });
    expect(both).toMatchObject({ verdicts: [{ workerId: "b", state: "suspended" }], heldBack: ["a"] });
  });

  it("whose other workers went lets those of its suspended ones go that are nearest to their end", () => {
    const suspended = [30, 10, 20].map((leftMs) => worker({ workerId: `left ${leftMs}`, state: "suspended", leftMs, spells: 1 }));
    const { verdicts } = decideHealth({ workers: suspended, live: { p: 3 } });
    expect(verdicts.map(({ workerId, state }) => [workerId, state])).toEqual([
      ["left 10", "probation"],
      ["left 20", "probation"],
    ]);
  });

  it("suspends a worker that is not live whatever the others do, for it takes nobody away", () => {
    expect(decideHealth({ workers: [worker({ isLive: false, ended: proven(3) })], live: {} }).verdicts).toMatchObject([
      { state: "suspended" },
    ]);
  });
});
