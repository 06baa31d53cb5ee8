/**
 * The stages of a render: graph and table, with what a worker says of those that run.
 */
import type { RunningTask, TaskSummary, Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { taskStateWord } from "../../platform/words.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { runningProgress, timeLeft } from "./overview-page.ts";
import { badge, table } from "./parts.ts";
import { stageGraph } from "./stage-graph-view.ts";
import { duration } from "./words.ts";

/** What runs now, by task. */
export function runningById(workers: readonly Worker[]): ReadonlyMap<bigint, RunningTask> {
  return new Map(workers.flatMap(({ running }) => running).map((task) => [task.taskId, task]));
}

/** Graph and table of a render's tasks. */
export function stagesPart(tasks: readonly TaskSummary[], running: ReadonlyMap<bigint, RunningTask>): Html {
  return html`${stageGraph(tasks)}${taskTable(tasks, running)}`;
}

const none = html`<span class="none">–</span>`;

function taskTable(tasks: readonly TaskSummary[], running: ReadonlyMap<bigint, RunningTask>): Html {
  const names = new Map(tasks.map((task) => [task.taskId, nameOf(task)]));
  return table({
    caption: "Stages",
    columns: [
      { title: "Stage", isRowHead: true },
      { title: "State" },
      { title: "Worker" },
      { title: "Load", isNumber: true },
      { title: "Compute", isNumber: true },
      { title: "Attempts", isNumber: true },
      { title: "Provider" },
      { title: "Takes" },
    ],
    rows: tasks.map((task) => ({
      key: `task-${task.taskId}`,
      cells: [
        html`${task.stage}${task.label !== "" && html` <small>${task.label}</small>`}`,
        html`${badge(taskStateWord(task.state))} <span data-progress="${task.taskId}">${progressOf(running.get(task.taskId))}</span>`,
        task.reused ? html`<span class="none">reused</span>` : task.workerName,
        task.reused || task.loadMs === 0 ? none : duration(task.loadMs),
        task.reused || task.computeMs === 0 ? none : duration(task.computeMs),
        html`${task.attempts}${task.preemptions > 0 && html` <small>${task.preemptions} made way</small>`}`,
        task.provider,
        dependencies(task, names),
      ],
    })),
    empty: "No stage.",
  });
}

function nameOf({ stage, label }: TaskSummary): string {
  return label === "" ? stage : `${stage} ${label}`;
}

function dependencies(task: TaskSummary, names: ReadonlyMap<bigint, string>): Content {
  const known = task.dependsOn.flatMap((id) => names.get(id) ?? []);
  return known.length === 0 ? html`<span class="none">media</span>` : html`<small class="wrap">${known.join(", ")}</small>`;
}

function progressOf(task: RunningTask | undefined): Content {
  if (task === undefined) return "";
  const hasSteps = (task.progress?.steps ?? 0) > 0;
  return html`${hasSteps ? runningProgress(task) : task.phase}${task.remainingMs !== undefined && html` <small>${timeLeft(task)}</small>`}`;
}
