import { expect, test } from "vitest";
import { type ExplainFacts, explainTask, type OpenTask, summarize } from "../../../services/domain/explain.ts";

const task: OpenTask = {
  taskId: 1,
  stage: "denoise",
  label: "denoise",
  renderPosition: 0,
  tenant: "local",
  pool: "cog",
  shape: "denoise/e1",
  model: "demo",
  state: "ready",
  missing: [],
  delayMs: 0,
  failures: {},
  ahead: { better: 0, fairer: 0, own: 0 },
  memoryBytes: 0,
  avoid: [],
  workerName: undefined,
  keptStep: undefined,
};
const facts = (scaled: ExplainFacts["scaled"]): ExplainFacts => ({
  jobState: "queued",
  tasks: [task],
  openTasks: 1,
  workers: [],
  holds: [],
  limits: [],
  pools: ["cog"],
  ...(scaled === undefined ? {} : { scaled }),
});

test("a task of a pool without workers is told how many were asked for, and how long one takes", () => {
  const asked = facts([{ pool: "cog", desired: 1, loadMs: 90_400, reason: "" }]);
  expect(explainTask(task, asked)).toEqual([
    {
      kind: "no_worker",
      message: "no worker of pool cog is live, 1 is asked for",
      remedy: "wait: a worker of pool cog takes about 90 s to serve",
    },
  ]);
  expect(summarize(asked)).toBe("waits for a worker: no worker of pool cog is live, 1 is asked for");
});

test("a task for which nobody is asked is told why", () => {
  const [constraint] = explainTask(task, facts([{ pool: "cog", desired: 0, loadMs: 1, reason: "nothing is to do that may start" }]));
  expect(constraint?.message).toBe("no worker of pool cog is live, and none is asked for: nothing is to do that may start");
});

test("a pool that nobody scales is explained as ever", () => {
  const remedy = "start a worker of pool cog";
  expect(explainTask(task, facts(undefined))).toEqual([{ kind: "no_worker", message: "no worker of pool cog is live", remedy }]);
  expect(explainTask(task, facts([{ pool: "other", desired: 3, loadMs: 1, reason: "" }]))[0]?.remedy).toBe(remedy);
});
