import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planScale, type PodWorker, type ScalePod, victimCost } from "../../../services/domain/scale-victims.ts";

const worker = (name: string, given: Partial<PodWorker> = {}): PodWorker => ({
  workerId: `id of ${name}`,
  isSilent: false,
  cordon: "none",
  running: 0,
  lossMs: 0,
  leftMs: 0,
  ...given,
});
const pod = (name: string, its: Partial<PodWorker> | undefined, given: Partial<ScalePod> = {}): ScalePod => ({
  name,
  createdAtMs: 0,
  deletionCost: undefined,
  worker: its === undefined ? undefined : worker(name, its),
  isYoung: false,
  ...given,
});
const busy = (lossMs: number, leftMs = 10_000): Partial<PodWorker> => ({ running: 1, lossMs, leftMs });
const plan = (desired: number, pods: readonly ScalePod[], kind: "Deployment" | "StatefulSet" = "Deployment") =>
  planScale({ kind, asked: pods.length, desired, pods });

describe("a Deployment that shrinks", () => {
  it("cordons first and takes nobody yet", () => {
    const step = plan(1, [pod("a", busy(5)), pod("b", {})]);
    expect(step).toEqual({ replicas: 2, cordon: ["id of b"], uncordon: [], costs: [] });
  });

  it("takes who is idle under its cordon, and says who that is before", () => {
    const step = plan(1, [pod("a", busy(5)), pod("b", { cordon: "scaling" })]);
    expect(step).toEqual({ replicas: 1, cordon: [], uncordon: [], costs: [{ pod: "b", cost: victimCost }] });
    const again = plan(1, [pod("a", busy(5)), pod("b", { cordon: "scaling" }, { deletionCost: victimCost })]);
    expect(again.costs).toEqual([]);
  });

  it("waits for a victim that still runs something", () => {
    const step = plan(0, [pod("a", { ...busy(5), cordon: "scaling" })]);
    expect(step).toMatchObject({ replicas: 1, cordon: [], costs: [] });
  });

  it("takes pods that serve nobody at once, the youngest first, then idle ones, then those that lose least, then those with least left", () => {
    const pods = [
      pod("a", busy(9, 1)),
      pod("b", busy(3, 9)),
      pod("c", busy(3, 4)),
      pod("d", {}),
      pod("e", undefined, { createdAtMs: 1 }),
      pod("f", undefined, { createdAtMs: 2 }),
    ];
    const chosen = (desired: number): readonly string[] => plan(desired, pods).cordon.map((id) => id.slice(-1));
    expect([5, 4, 3, 2, 1].map(chosen)).toEqual([[], [], ["d"], ["d", "c"], ["d", "c", "b"]]);
    expect(plan(5, pods)).toMatchObject({ replicas: 5, costs: [{ pod: "f", cost: victimCost }] });
  });

  it("leaves to the last what a person has set aside to look at, and takes first what one has drained", () => {
    const pods = [pod("a", { cordon: "operator" }), pod("b", busy(99)), pod("c", {}), pod("d", { cordon: "drained" })];
    expect(plan(3, pods)).toMatchObject({ replicas: 3, cordon: [], costs: [{ pod: "d", cost: victimCost }] });
    expect(plan(1, pods).cordon).toEqual(["id of c", "id of b"]);
  });

  it("gives back whom it does not need to take any more", () => {
    const pods = [pod("a", { cordon: "scaling" }, { deletionCost: victimCost }), pod("b", busy(5))];
    expect(plan(2, pods)).toEqual({ replicas: 2, cordon: [], uncordon: ["id of a"], costs: [{ pod: "a", cost: undefined }] });
    expect(planScale({ kind: "Deployment", asked: 2, desired: 5, pods })).toMatchObject({ replicas: 5, uncordon: ["id of a"] });
  });

  it("takes nobody that is silent, and no pod that runs too short for its worker to be known", () => {
    const silent = { isSilent: true, cordon: "scaling" as const };
    expect(plan(0, [pod("a", silent), pod("b", undefined, { isYoung: true })])).toMatchObject({ replicas: 2, costs: [] });
    expect(plan(0, [pod("w-0", silent)], "StatefulSet").replicas).toBe(1);
    const chosen = plan(1, [pod("a", { isSilent: true }), pod("b", {})]);
    expect(chosen).toMatchObject({ replicas: 2, cordon: ["id of b"] });
  });

  it("takes only others that serve nobody while a pod starts: the cluster would take that one first", () => {
    const starting = pod("a", undefined, { isYoung: true, createdAtMs: 9 });
    const idle = pod("b", { cordon: "scaling" });
    expect(plan(1, [starting, idle, pod("c", busy(5))])).toMatchObject({ replicas: 3, costs: [] });
    const broken = pod("d", undefined, {});
    expect(plan(1, [starting, idle, broken])).toMatchObject({ replicas: 2, costs: [{ pod: "d", cost: victimCost }] });
  });

  it("takes back at once what was asked for and is not there yet", () => {
    const pods = [pod("a", busy(5)), pod("b", busy(5))];
    expect(planScale({ kind: "Deployment", asked: 6, desired: 3, pods })).toEqual({ replicas: 3, cordon: [], uncordon: [], costs: [] });
  });
});

describe("a StatefulSet that shrinks", () => {
  it("loses its last ones, whatever they run, and none before those behind it", () => {
    const pods = [pod("w-0", {}), pod("w-2", busy(5)), pod("w-10", {})];
    expect(plan(1, pods, "StatefulSet")).toMatchObject({ replicas: 3, cordon: ["id of w-10", "id of w-2"], costs: [] });
    const seen = [pod("w-0", {}), pod("w-2", { cordon: "scaling" }), pod("w-10", { ...busy(1), cordon: "scaling" })];
    expect(plan(1, seen, "StatefulSet").replicas).toBe(3);
    const done = [pod("w-0", {}), pod("w-2", { ...busy(1), cordon: "scaling" }), pod("w-10", { cordon: "scaling" })];
    expect(plan(1, done, "StatefulSet").replicas).toBe(2);
  });
});

const anyPod = fc.record({
  createdAtMs: fc.nat(9),
  deletionCost: fc.constantFrom(undefined, victimCost, 5),
  isYoung: fc.boolean(),
  worker: fc.option(
    fc.record({
      isSilent: fc.boolean(),
      cordon: fc.constantFrom("none" as const, "scaling" as const, "operator" as const, "drained" as const, "disruption" as const),
      running: fc.nat(2),
      lossMs: fc.nat(9),
      leftMs: fc.nat(9),
    }),
    { nil: undefined },
  ),
});
const anyStep = fc.record({
  kind: fc.constantFrom("Deployment" as const, "StatefulSet" as const),
  pods: fc.array(anyPod, { maxLength: 8 }).map((pods) => pods.map(({ worker: its, ...each }, index) => pod(`w-${index}`, its, each))),
  asked: fc.nat(10),
  desired: fc.nat(10),
});

describe("whatever a pool runs", () => {
  it("no step goes beyond what is desired, and none takes more than can go", () => {
    fc.assert(
      fc.property(anyStep, (step) => {
        const { replicas } = planScale(step);
        const canGo = step.pods.filter(({ worker: its, isYoung }) =>
          its === undefined ? !isYoung : !its.isSilent && its.running === 0 && its.cordon !== "none",
        ).length;
        const missing = Math.max(0, step.asked - step.pods.length);
        if (step.desired >= step.asked) expect(replicas).toBe(step.desired);
        else {
          expect(replicas).toBeGreaterThanOrEqual(step.desired);
          expect(replicas).toBeLessThanOrEqual(step.asked);
          expect(step.asked - replicas).toBeLessThanOrEqual(canGo + missing);
        }
      }),
    );
  });

  it("a person's cordon is never lifted, and nobody is cordoned twice", () => {
    fc.assert(
      fc.property(anyStep, (step) => {
        const { cordon, uncordon } = planScale(step);
        const of = (id: string) => step.pods.find(({ worker: its }) => its?.workerId === id)?.worker?.cordon;
        expect(cordon.map(of).every((its) => its === "none")).toBe(true);
        expect(uncordon.map(of).every((its) => its === "scaling")).toBe(true);
      }),
    );
  });

  it("steps lead to what is desired once victims have finished, and then nothing changes any more", () => {
    fc.assert(
      fc.property(anyStep, (given) => {
        let step = { ...given, asked: given.pods.length };
        for (let round = 0; round < 4; round += 1) {
          const { replicas, cordon, uncordon, costs } = planScale(step);
          const costOf = new Map(costs.map(({ pod: name, cost }) => [name, cost]));
          let pods = step.pods.map((each) => ({
            ...each,
            isYoung: false,
            deletionCost: costOf.has(each.name) ? costOf.get(each.name) : each.deletionCost,
            worker: each.worker && {
              ...each.worker,
              cordon: cordon.includes(each.worker.workerId)
                ? ("scaling" as const)
                : uncordon.includes(each.worker.workerId)
                  ? ("none" as const)
                  : each.worker.cordon,
              running: 0,
              isSilent: false,
            },
          }));
          const order = pods.toSorted(
            (a, b) => Number(a.worker !== undefined) - Number(b.worker !== undefined) || (a.deletionCost ?? 0) - (b.deletionCost ?? 0),
          );
          const gone = given.kind === "StatefulSet" ? pods.slice(replicas) : order.slice(0, Math.max(0, pods.length - replicas));
          pods = pods.filter((each) => !gone.includes(each));
          step = { ...step, asked: replicas, pods };
        }
        expect(step.asked).toBe(given.desired);
        expect(planScale(step)).toEqual({ replicas: given.desired, cordon: [], uncordon: [], costs: [] });
      }),
    );
  });
});
