import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BudgetDecision,
  type BudgetFacts,
  type BudgetSnapshot,
  budgetText,
  decideBudgets,
  levelOf,
} from "../../../services/domain/budget.ts";

const thisMonth = "2026-03-01";
const always = "1970-01-01";

function budget(overrides: Partial<BudgetFacts> = {}): BudgetFacts {
  const { period = "month" } = overrides;
  return {
    ...{ id: "1", version: "1", tenant: "a", jobId: undefined, unit: "money", period, action: "stop", currency: "EUR" },
    ...{ allowed: 1_000n, spent: 0n, level: "open", levelMonth: period === "month" ? thisMonth : always, openJobs: [] },
    ...overrides,
  };
}

function snapshot(budgets: readonly BudgetFacts[], overrides: Partial<BudgetSnapshot> = {}): BudgetSnapshot {
  return { budgets, month: thisMonth, heldTenants: [], stoppedJobs: [], ...overrides };
}

function decide(given: BudgetSnapshot): BudgetDecision {
  const decision = decideBudgets(given);
  if (decision === undefined) throw new TypeError("nothing was decided");
  return decision;
}

describe("a budget", () => {
  it.each([
    [799n, "open"],
    [800n, "warned"],
    [999n, "warned"],
    [1_000n, "reached"],
    [1_001n, "reached"],
  ])("of 1000 with %s spent is %s", (spent, level) => {
    expect(levelOf({ spent, allowed: 1_000n })).toBe(level);
  });

  it("of nothing is used up from the start", () => {
    expect(levelOf({ spent: 0n, allowed: 0n })).toBe("reached");
  });

  it("warns once, and tells again only when it is used up", () => {
    const warned = decide(snapshot([budget({ spent: 850n })]));
    expect(warned.notices).toMatchObject([{ tenant: "a", kind: "job.budget_warned" }]);
    expect(warned.levels).toEqual([{ id: "1", level: "warned", month: thisMonth }]);
    expect(decideBudgets(snapshot([budget({ spent: 900n, level: "warned" })]))).toBeUndefined();
    const reached = decide(snapshot([budget({ spent: 1_000n, level: "warned" })]));
    expect(reached.notices).toMatchObject([{ tenant: "a", kind: "job.budget_reached" }]);
    expect(reached.holds).toMatchObject([{ tenant: "a" }]);
    const inForce = { heldTenants: ["a"] };
    expect(decideBudgets(snapshot([budget({ spent: 1_100n, level: "reached" })], inForce))).toBeUndefined();
  });

  it("of a job that stops takes the job alone out of the line, while it is open", () => {
    const own = { jobId: "j", period: "total", spent: 2_000n, level: "reached", openJobs: ["j"] } as const;
    expect(decide(snapshot([budget(own)]))).toMatchObject({ holds: [], stops: [{ jobId: "j" }], cancels: [] });
    expect(decide(snapshot([budget({ ...own, openJobs: [] })], { stoppedJobs: ["j"] })).resumes).toEqual(["j"]);
  });

  it("that cancels ends what is open of it, in each round, and holds nothing", () => {
    const given = budget({ action: "cancel", spent: 2_000n, level: "reached", openJobs: ["j", "k"] });
    const decision = decide(snapshot([given]));
    expect(decision.cancels.map(({ jobId }) => jobId)).toEqual(["j", "k"]);
    expect([decision.holds, decision.stops, decision.notices]).toEqual([[], [], []]);
    expect(decideBudgets(snapshot([{ ...given, openJobs: [] }]))).toBeUndefined();
  });

  it("that is raised, deleted or of another month lets go what it held", () => {
    const inForce = { heldTenants: ["a"], stoppedJobs: ["j"] };
    const free = { releases: ["a"], resumes: ["j"], holds: [], stops: [] };
    expect(decide(snapshot([budget({ allowed: 9_000n, spent: 1_000n, level: "reached" })], inForce))).toMatchObject(free);
    expect(decide(snapshot([], inForce))).toMatchObject(free);
    const last = budget({ spent: 10n, level: "reached", levelMonth: "2026-02-01" });
    expect(decide(snapshot([last], inForce))).toMatchObject({ ...free, levels: [{ id: "1", level: "open", month: thisMonth }] });
  });

  it("warns anew in a month that begins spent, and one over all time does not", () => {
    const spent = { spent: 900n, level: "warned", levelMonth: "2026-02-01" } as const;
    expect(decide(snapshot([budget(spent)])).notices).toHaveLength(1);
    expect(decideBudgets(snapshot([budget({ period: "total", spent: 900n, level: "warned" })]))).toBeUndefined();
  });

  it("says whose it is and how much of it is spent", () => {
    expect(budgetText(budget({ allowed: 5_000_000_000n, spent: 5_020_000_000n }))).toBe(
      "tenant a has spent EUR 5.02 of EUR 5.00 for this month",
    );
    const timed = budget({ jobId: "j", period: "total", unit: "gpu_time", allowed: 90_000_000n, spent: 95_250_000n });
    expect(budgetText(timed)).toBe("the job has spent 95.25 GPU-seconds of 90 GPU-seconds");
  });
});

const tenants = ["a", "b"];
const jobs = ["j", "k"];
const anyBudget = fc
  .record({
    isOfJob: fc.boolean(),
    tenant: fc.constantFrom(...tenants),
    job: fc.constantFrom(...jobs),
    action: fc.constantFrom("stop" as const, "cancel" as const),
    allowed: fc.bigInt({ min: 0n, max: 20n }),
    spent: fc.bigInt({ min: 0n, max: 30n }),
    level: fc.constantFrom("open" as const, "warned" as const, "reached" as const),
    isOpen: fc.boolean(),
  })
  .map(({ isOfJob, job, isOpen, ...rest }) =>
    budget({ ...rest, period: "total", jobId: isOfJob ? job : undefined, openJobs: isOpen ? (isOfJob ? [job] : jobs) : [] }),
  );
const anySnapshot = fc
  .record({ budgets: fc.array(anyBudget, { maxLength: 6 }), heldTenants: fc.subarray(tenants), stoppedJobs: fc.subarray(jobs) })
  .map(({ budgets, ...rest }) => snapshot(budgets.map((each, index) => ({ ...each, id: String(index) })), rest)); // prettier-ignore

/** What is so after a decision was applied: cancelled jobs are no longer open. */
function applied(given: BudgetSnapshot, decision: BudgetDecision | undefined): BudgetSnapshot {
  if (decision === undefined) return given;
  const ended = new Set(decision.cancels.map(({ jobId }) => jobId));
  const levels = new Map(decision.levels.map((each) => [each.id, each]));
  return {
    ...given,
    budgets: given.budgets.map((each) => ({
      ...each,
      level: levels.get(each.id)?.level ?? each.level,
      openJobs: each.openJobs.filter((jobId) => !ended.has(jobId)),
    })),
    heldTenants: [...given.heldTenants.filter((name) => !decision.releases.includes(name)), ...decision.holds.map(({ tenant }) => tenant)],
    stoppedJobs: [...given.stoppedJobs.filter((id) => !decision.resumes.includes(id)), ...decision.stops.map(({ jobId }) => jobId)],
  };
}

describe("any budgets", () => {
  it("come to rest: two rounds later there is nothing left to do", () => {
    fc.assert(
      fc.property(anySnapshot, (given) => {
        const once = applied(given, decideBudgets(given));
        const twice = applied(once, decideBudgets(once));
        expect(decideBudgets(twice)).toBeUndefined();
      }),
    );
  });

  it("hold exactly the tenants, and stop exactly the open jobs, of which nothing is left", () => {
    fc.assert(
      fc.property(anySnapshot, (given) => {
        const once = applied(given, decideBudgets(given));
        const used = given.budgets.filter(({ spent, allowed }) => spent >= allowed);
        const held = used.filter(({ action, jobId }) => action === "stop" && jobId === undefined).map(({ tenant }) => tenant);
        expect(new Set(once.heldTenants)).toEqual(new Set(held));
        const stopped = used.filter(({ action, jobId }) => action === "stop" && jobId !== undefined).flatMap(({ openJobs }) => openJobs);
        expect(new Set(once.stoppedJobs)).toEqual(new Set(stopped));
        const cancelled = used.filter(({ action }) => action === "cancel").flatMap(({ openJobs }) => openJobs);
        expect(once.budgets.flatMap(({ openJobs }) => openJobs).filter((jobId) => cancelled.includes(jobId))).toEqual([]);
      }),
    );
  });
});
