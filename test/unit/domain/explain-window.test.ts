import { describe, expect, test } from "vitest";
import { type ExplainFacts, summarize, type WaitingPool } from "../../../services/domain/explain.ts";
import { explainWaiting } from "../../../services/domain/explain-window.ts";

const waiting: WaitingPool = { pool: "gpu", tenant: "acme", renders: 3, open: 1, window: 4 };
const nothing = { holds: [], limits: [] };
const places = "3 renders wait for the window of pool gpu: 1 of 4 renders are open";
const sizeRemedy = "wait until some end; the operator sets the window with VAPFARM_OPEN_RENDERS";

describe("renders that wait for a window", () => {
  test("are told whether it is full", () => {
    const next = { kind: "window", message: `${places}, others come first, or they are expanded next`, remedy: "" };
    expect(explainWaiting(waiting, nothing)).toEqual(next);
    expect(explainWaiting({ ...waiting, renders: 1, open: 4 }, nothing)).toEqual({
      kind: "window",
      message: "1 render waits for the window of pool gpu: 4 of 4 renders are open, it is full",
      remedy: sizeRemedy,
    });
  });

  test.each([
    ["held", { scope: "farm", name: "", reason: "moving" }, "the farm is held: moving", "vapfarm release farm"],
    ["held", { scope: "pool", name: "gpu", reason: "" }, "pool gpu is held", "vapfarm release pool gpu"],
    ["held", { scope: "tenant", name: "acme", reason: "" }, "tenant acme is held", "vapfarm release tenant acme"],
    [
      "over_budget",
      { scope: "tenant", name: "acme", reason: "spent", origin: "budget" },
      "spent",
      "raise the budget: vapfarm budgets set tenant acme",
    ],
  ] as const)("are told that they are %s by %o", (...[kind, hold, message, remedy]) => {
    const told = { kind, message: `${places}, and nothing of theirs may start: ${message}`, remedy };
    expect(explainWaiting(waiting, { ...nothing, holds: [hold] })).toEqual(told);
  });

  test("are told of nothing that does not bind them", () => {
    const holds = [
      { scope: "pool", name: "acme", reason: "" },
      { scope: "tenant", name: "gpu", reason: "" },
    ] as const;
    const limits = [
      { tenant: "acme", running: 2, maxRunning: 2 },
      { tenant: "other", running: 0, maxRunning: 0 },
    ];
    expect(explainWaiting(waiting, { holds, limits }).kind).toBe("window");
  });

  test("are told of all at once: the window, the holds, the budget of the job and a limit of nothing", () => {
    const holds = [{ scope: "pool", name: "gpu", reason: "" }] as const;
    const limits = [{ tenant: "acme", running: 0, maxRunning: 0 }];
    const told = explainWaiting({ ...waiting, open: 4, overBudget: "the job has spent it" }, { holds, limits });
    expect(told).toEqual({
      kind: "held",
      message:
        "3 renders wait for the window of pool gpu: 4 of 4 renders are open, it is full, and nothing of theirs may start: pool gpu is held; " +
        "the job has spent it; tenant acme runs 0 of the 0 tasks that it may run at once",
      remedy: `vapfarm release pool gpu; raise the budget: vapfarm budgets set job JOB; wait, or have the limit raised (vapfarm tenants set); ${sizeRemedy}`,
    });
  });

  test("have their constraint in the summary of their job", () => {
    const rest = { jobState: "queued", tasks: [], openTasks: 0, workers: [], pools: ["gpu"] } as const;
    const facts: ExplainFacts = { ...rest, ...nothing, holds: [{ scope: "pool", name: "gpu", reason: "" }], waiting: [waiting] };
    expect(summarize(facts)).toBe(`${places}, and nothing of theirs may start: pool gpu is held`);
  });
});
