import { expect, test } from "vitest";
import { explainTask, type ExplainFacts, type OpenTask, summarize } from "../../../services/domain/explain.ts";

const task: OpenTask = {
  taskId: 1,
  stage: "denoise",
  label: "denoise",
  renderPosition: 0,
  tenant: "acme",
  pool: "gpu",
  shape: "denoise/e1",
  model: "demo",
  state: "ready",
  missing: [],
  delayMs: 0,
  failures: {},
  ahead: { better: 7, fairer: 0, own: 0 },
  memoryBytes: 0,
  avoid: [],
  workerName: undefined,
  keptStep: undefined,
};

function facts(tasks: readonly OpenTask[], overrides: Partial<ExplainFacts> = {}): ExplainFacts {
  return { jobState: "running", tasks, openTasks: tasks.length, workers: [], holds: [], limits: [], pools: ["gpu"], ...overrides };
}

test("a task that a slot is kept for is about to start there, whatever is ahead of it", () => {
  const waits = { ...task, slotOn: "w1" };
  expect(explainTask(waits, facts([waits]))).toEqual([{ kind: "about_to_start", message: "worker w1 makes way for it", remedy: "" }]);
});

test("a run that makes way says so, and that it keeps its steps", () => {
  const runs = { ...task, state: "running" as const, workerName: "w1", keptStep: 5, makesWay: true };
  const message = "runs on worker w1, its last checkpoint is of step 5, and makes way for a task that comes first";
  expect(explainTask(runs, facts([runs]))).toEqual([{ kind: "running", message, remedy: "" }]);
});

test("the summary says what is wrong with the deadline", () => {
  const runs = { ...task, state: "running" as const, workerName: "w1" };
  expect(summarize(facts([runs], { deadline: "at_risk" }))).toBe("1 task runs; its deadline is at risk");
  expect(summarize(facts([runs], { deadline: "missed" }))).toBe("1 task runs; its deadline is over");
  expect(summarize(facts([runs]))).toBe("1 task runs");
});
