import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decideScale,
  type PoolFleet,
  type PoolWork,
  type ScaleFacts,
  type ScaleMemory,
  type ScalingRule,
} from "../../../services/domain/scaling.ts";

const rule: ScalingRule = {
  min: 0,
  max: 20,
  targetWaitMs: 60_000,
  downAfterMs: 300_000,
  idleMs: 600_000,
  loadMs: 20_000,
  probeMs: 3_600_000,
};
const noFleet: PoolFleet = { asked: 0, serving: 0, startingAgesMs: [], setAside: 0, loadMs: undefined };
const serving = (workers: number): PoolFleet => ({ ...noFleet, asked: workers, serving: workers });

type Tenant = PoolWork["tenants"][number];
const tenant = (given: Partial<Tenant>): Tenant => ({
  ready: 0,
  running: 0,
  waitingRenders: 0,
  workMs: 0,
  maxRunning: undefined,
  ...given,
});
const work = (tenants: readonly Partial<Tenant>[], given: Partial<PoolWork> = {}): PoolWork => ({
  tenants: tenants.map(tenant),
  isMore: false,
  unrunnable: 0,
  ...given,
});

/** Watched long enough that nothing but what was needed lately keeps a worker. */
const watched = (nowMs: number, given: Partial<ScaleMemory> = {}): ScaleMemory => ({
  sinceMs: 0,
  atMs: nowMs - 5_000,
  busy: 0,
  needs: [],
  workAtMs: 0,
  probedAtMs: undefined,
  ...given,
});
const later = 10_000_000;
const decide = (given: Partial<ScaleFacts>, its: Partial<ScalingRule> = {}) =>
  decideScale({ ...rule, ...its }, { work: work([]), fleet: noFleet, nowMs: later, roundMs: 200_000, memory: watched(later), ...given });

describe("the workers of a pool", () => {
  it("are one at the first task, however short it is", () => {
    expect(decide({ work: work([{ ready: 1, workMs: 10 }]), memory: undefined }).desired).toBe(1);
  });

  it("are as many as clear what is admitted within the target, load time deducted for those that must start", () => {
    const admitted = work([{ ready: 100, workMs: 600_000 }]);
    expect(decide({ work: admitted, fleet: serving(10) }).desired).toBe(10);
    expect(decide({ work: admitted, fleet: serving(0) }).desired).toBe(15);
    expect(decide({ work: admitted, fleet: serving(4) }).desired).toBe(4 + Math.ceil(360 / 40));
  });

  it("take a horizon of twice the load time where that is longer, so that a start is worth it", () => {
    const admitted = work([{ ready: 100, workMs: 600_000 }]);
    const slow = { ...serving(0), loadMs: 120_000 };
    const { desired, loadMs, reason } = decide({ work: admitted, fleet: slow });
    expect({ desired, loadMs }).toEqual({ desired: 5, loadMs: 120_000 });
    expect(reason).toBe("600 s of 100 tasks and renders: 5 clear them in 240 s");
  });

  it("count those that are starting by what is left of the horizon then, and are not asked for twice", () => {
    const admitted = work([{ ready: 100, workMs: 600_000 }]);
    const starting = { ...noFleet, asked: 15, startingAgesMs: Array.from({ length: 15 }, () => 0) };
    const first = decide({ work: admitted, fleet: starting });
    expect(first.desired).toBe(15);
    const loaded = { ...starting, startingAgesMs: starting.startingAgesMs.map(() => 20_000) };
    expect(decide({ work: admitted, fleet: loaded, nowMs: later + 20_000, memory: first.memory }).desired).toBe(15);
  });

  it("are no more than can run at once: one long run needs one", () => {
    expect(decide({ work: work([{ running: 1, workMs: 3_600_000 }]), fleet: serving(1) }).desired).toBe(1);
    expect(decide({ work: work([{ running: 4, ready: 1, workMs: 2_401_000 }]), fleet: serving(4) }).desired).toBe(5);
  });

  it("are for renders of manifests too that have no tasks yet", () => {
    expect(decide({ work: work([{ waitingRenders: 1_000, workMs: 1_000 * 30_000 }]) }).desired).toBe(20);
    expect(decide({ work: work([{ waitingRenders: 3, workMs: 90_000_000 }]) }).desired).toBe(3);
  });

  it("are no more for a tenant than it may run, and none for one that may run nothing", () => {
    expect(decide({ work: work([{ ready: 500, workMs: 9e6, maxRunning: 3 }]) }).desired).toBe(3);
    expect(decide({ work: work([{ ready: 500, workMs: 9e6, maxRunning: 0 }]) }).desired).toBe(0);
    expect(
      decide({
        work: work([
          { ready: 500, workMs: 9e6, maxRunning: 3 },
          { ready: 2, workMs: 9e6 },
        ]),
      }).desired,
    ).toBe(5);
  });

  it("are the most where more lies ready than is counted, and never outside of the bounds", () => {
    expect(decide({ work: work([{ ready: 50_000, workMs: 1_000 }], { isMore: true }) }).desired).toBe(20);
    expect(decide({ work: work([]) }, { min: 2 }).desired).toBe(2);
    expect(decide({ fleet: serving(40) }).desired).toBeLessThanOrEqual(20);
  });

  it("replace those that a person set aside, while there is work", () => {
    expect(decide({ work: work([{ ready: 1, workMs: 10 }]), fleet: { ...serving(0), asked: 1, setAside: 1 } }).desired).toBe(2);
  });

  it("do not become fewer before fewer were enough for the whole window", () => {
    const idle = { work: work([{ running: 1, workMs: 1_000 }]), fleet: serving(6) };
    const needs = [
      { atMs: later - 299_000, workers: 5 },
      { atMs: later - 100_000, workers: 3 },
    ];
    const first = decide({ ...idle, memory: watched(later, { needs }) });
    expect(first.desired).toBe(5);
    expect(first.reason).toContain("stays at 5: that many were needed in the last 600 s");
    const second = decide({ ...idle, nowMs: later + 5_000, memory: first.memory });
    expect(second.desired).toBe(3);
    expect(decide({ ...idle, nowMs: later + 201_000, memory: second.memory }).desired).toBe(1);
  });

  it("do not become fewer while nobody has watched for long enough: a new holder of the duty takes nothing away", () => {
    const { desired, reason } = decide({ fleet: serving(6), memory: undefined });
    expect(desired).toBe(6);
    expect(reason).toContain("not watched for 300 s yet");
  });

  it("do not become fewer after a gap in which nobody looked before fewer were enough for the whole window again", () => {
    const before = watched(later, { busy: 4, needs: [{ atMs: later - 5_000, workers: 6 }], workAtMs: later - 5_000 });
    const quiet = { work: work([{ running: 1, workMs: 1_000 }]), fleet: serving(6), roundMs: 5_000 };
    const gapMs = 600_000;
    let { desired, memory } = decide({ ...quiet, nowMs: later + gapMs, memory: before });
    expect({ desired, busy: memory.busy }).toEqual({ desired: 6, busy: 4 });
    for (let afterMs = 5_000; afterMs < 300_000; afterMs += 5_000) {
      ({ desired, memory } = decide({ ...quiet, nowMs: later + gapMs + afterMs, memory }));
      expect(desired).toBe(6);
    }
    expect(decide({ ...quiet, nowMs: later + gapMs + 300_000, memory }).desired).toBeLessThan(6);
  });

  it("do not go to none right after a gap, whatever the last work was before it", () => {
    const before = watched(later, { workAtMs: later - 599_000 });
    const { memory } = decide({ fleet: serving(1), nowMs: later + 900_000, roundMs: 5_000, memory: before });
    expect(memory).toMatchObject({ sinceMs: later + 900_000, workAtMs: later + 900_000 });
  });

  it("keep those that were busy on average, although they clear what waits in no time", () => {
    const steady = { work: work([{ running: 8, ready: 2, workMs: 20_000 }]), fleet: serving(8) };
    expect(decide({ ...steady, memory: watched(later, { busy: 8 }) }).desired).toBe(8);
  });

  it("go to none only when nothing was to do for the idle time", () => {
    const alone = { fleet: serving(1) };
    expect(decide({ ...alone, memory: watched(later, { workAtMs: later - 599_000 }) }).desired).toBe(1);
    expect(decide({ ...alone, memory: watched(later, { workAtMs: later - 600_000 }) }).desired).toBe(0);
  });

  it("are tried once for what no known worker could run, for as long as one takes to tell, and again after a while", () => {
    const lost = work([], { unrunnable: 7 });
    const first = decide({ work: lost });
    expect(first).toMatchObject({ desired: 1, memory: { probedAtMs: later } });
    expect(first.reason).toContain("tries whether a new worker can run 7 ready tasks");
    const during = decide({ work: lost, fleet: serving(1), nowMs: later + 599_000, memory: first.memory });
    expect(during.desired).toBe(1);
    const gone = decide({ work: lost, fleet: serving(1), nowMs: later + 1_300_000, memory: during.memory });
    expect(gone.desired).toBe(0);
    expect(decide({ work: lost, nowMs: later + 3_601_000, memory: gone.memory }).desired).toBe(1);
  });

  it("are one more than serve while such work is tried, beside an idle minimum or other work, and no more once it came", () => {
    const idle = decide({ work: work([], { unrunnable: 50 }), fleet: serving(1) }, { min: 1 });
    expect(idle.desired).toBe(2);
    const joined = decide({ work: work([], { unrunnable: 50 }), fleet: serving(2), nowMs: later + 5_000, memory: idle.memory }, { min: 1 });
    expect(joined.desired).toBe(2);
    const others = work([{ running: 3, workMs: 1_000 }], { unrunnable: 50 });
    expect(decide({ work: others, fleet: serving(3), memory: watched(later, { busy: 3 }) }).desired).toBe(4);
    const full = decide({ work: others, fleet: serving(3), memory: watched(later, { busy: 3 }) }, { max: 3 });
    expect(full.desired).toBe(3);
    expect(full.reason).not.toContain("tries");
    expect(full.memory.probedAtMs).toBeUndefined();
  });
});

const anyTenant = fc.record({
  ready: fc.nat(200),
  running: fc.nat(50),
  waitingRenders: fc.nat(200),
  workMs: fc.nat(10_000_000),
  maxRunning: fc.option(fc.nat(30), { nil: undefined }),
});
const anyFacts = fc.record({
  tenants: fc.array(anyTenant, { maxLength: 4 }),
  serving: fc.nat(30),
  starting: fc.array(fc.nat(400_000), { maxLength: 10 }),
  setAside: fc.nat(3),
  loadMs: fc.option(fc.integer({ min: 0, max: 600_000 }), { nil: undefined }),
  unrunnable: fc.nat(2),
});
const factsOf = ({
  tenants,
  serving: live,
  starting,
  setAside,
  loadMs,
  unrunnable,
}: typeof anyFacts extends fc.Arbitrary<infer T> ? T : never) => ({
  work: work(tenants, { unrunnable }),
  fleet: { asked: live + starting.length + setAside, serving: live, startingAgesMs: starting, setAside, loadMs },
});

describe("whatever a pool looks like", () => {
  it("the decision is a whole number within the bounds", () => {
    fc.assert(
      fc.property(anyFacts, fc.nat(5), (facts, min) => {
        const { desired } = decide({ ...factsOf(facts), memory: undefined }, { min });
        expect(Number.isInteger(desired)).toBe(true);
        expect(desired).toBeGreaterThanOrEqual(min);
        expect(desired).toBeLessThanOrEqual(rule.max);
      }),
    );
  });

  it("more work never asks for fewer workers", () => {
    fc.assert(
      fc.property(anyFacts, anyTenant, (facts, more) => {
        const [before, after] = [factsOf(facts), factsOf({ ...facts, tenants: [...facts.tenants, more] })];
        const of = (given: typeof before) => decide({ ...given, memory: watched(later, { workAtMs: 0 }) }).desired;
        expect(of(after)).toBeGreaterThanOrEqual(of(before));
      }),
    );
  });

  it("nobody is asked for work that may not start", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const shut = factsOf({ ...facts, tenants: facts.tenants.map((each) => ({ ...each, maxRunning: 0 })), setAside: 0, unrunnable: 0 });
        expect(decide({ ...shut, memory: watched(later, { workAtMs: 0 }) }).desired).toBe(0);
      }),
    );
  });

  it("a pool shrinks only to what was needed at most in the window, so that it cannot flap within it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ ready: fc.nat(30), afterS: fc.integer({ min: 1, max: 120 }) }), { minLength: 2, maxLength: 60 }),
        (steps) => {
          let [nowMs, asked] = [later, 0];
          let memory: ScaleMemory | undefined;
          const needs: { readonly atMs: number; readonly need: number }[] = [];
          for (const { ready, afterS } of steps) {
            nowMs += afterS * 1000;
            const offered = work(ready === 0 ? [] : [{ ready, workMs: ready * 60_000 }]);
            const decision = decide({ work: offered, fleet: serving(asked), nowMs, memory });
            needs.push({ atMs: nowMs, need: decision.memory.needs.at(-1)?.workers ?? 0 });
            if (decision.desired < asked) {
              const most = Math.max(...needs.filter(({ atMs }) => atMs > nowMs - rule.downAfterMs).map(({ need }) => need));
              expect(decision.desired).toBeGreaterThanOrEqual(Math.min(most, asked));
              expect(nowMs - decision.memory.sinceMs).toBeGreaterThanOrEqual(rule.downAfterMs);
            }
            [asked, memory] = [decision.desired, decision.memory];
            expect(memory.needs.length).toBeLessThanOrEqual(rule.max + 1);
          }
        },
      ),
    );
  });

  it("a decision does not change when it is made again at the same moment", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const first = decide({ ...factsOf(facts), memory: undefined });
        const second = decide({ ...factsOf(facts), memory: first.memory });
        expect(second.desired).toBe(first.desired);
      }),
    );
  });
});
