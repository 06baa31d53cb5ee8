/**
 * The graph of a render's tasks as a drawing: columns by longest path to the result, edges from `depends_on`. Pure.
 *
 * The drawing is for the eye; the table beside it tells the same to everyone. Colours come from the stylesheet by state, and each box
 * also says its state in words.
 */
import type { TaskSummary } from "../../gen/proto/vapfarm/v1/farm.ts";
import { taskStateWord } from "../../platform/words.ts";
import { type Html, html } from "../../platform/html.ts";
import { duration, excerpt } from "./words.ts";

/** Where a task's box is drawn. */
export type PlacedTask = { readonly task: TaskSummary; readonly x: number; readonly y: number };

const boxWidth = 190;
const boxHeight = 54;
const gapX = 44;
const gapY = 14;
const margin = 4;

/**
 * Columns of tasks: each task as far right as what depends on it allows, so that edges are short and cross nothing. Unknown and circular
 * dependencies are no edges.
 */
export function columnsOf(tasks: readonly TaskSummary[]): readonly (readonly TaskSummary[])[] {
  const byId = new Map(tasks.map((task) => [task.taskId, task]));
  const known = (task: TaskSummary): readonly TaskSummary[] => task.dependsOn.flatMap((id) => byId.get(id) ?? []);
  const dependents = new Map<bigint, TaskSummary[]>();
  for (const task of tasks) for (const { taskId } of known(task)) dependents.set(taskId, [...(dependents.get(taskId) ?? []), task]);
  const distances = new Map<bigint, number>();
  const distanceOf = (task: TaskSummary, before: ReadonlySet<bigint>): number => {
    const found = distances.get(task.taskId);
    if (found !== undefined) return found;
    const path = new Set([...before, task.taskId]);
    const after = (dependents.get(task.taskId) ?? []).filter(({ taskId }) => !path.has(taskId));
    const distance = after.reduce((longest, one) => Math.max(longest, distanceOf(one, path) + 1), 0);
    distances.set(task.taskId, distance);
    return distance;
  };
  const columns: TaskSummary[][] = [];
  for (const task of tasks) (columns[distanceOf(task, new Set())] ??= []).push(task);
  // What has something on its left comes first, so that edges from there stay above the rest.
  return columns
    .toReversed()
    .map((column) => column.toSorted((one, other) => Number(known(other).length > 0) - Number(known(one).length > 0)));
}

/** The drawing; nothing without tasks. */
export function stageGraph(tasks: readonly TaskSummary[]): Html {
  if (tasks.length === 0) return html``;
  const columns = columnsOf(tasks);
  const rows = Math.max(...columns.map(({ length }) => length));
  const height = rows * (boxHeight + gapY) - gapY + 2 * margin;
  const width = columns.length * (boxWidth + gapX) - gapX + 2 * margin;
  const placed = columns.flatMap((column, index) => placeColumn(column, { x: margin + index * (boxWidth + gapX), height }));
  const byId = new Map(placed.map((one) => [one.task.taskId, one]));
  return html`<div class="scroll graph" tabindex="0" role="region" aria-label="Graph of stages">
    <svg
      width="${width}"
      height="${height}"
      viewBox="0 0 ${width} ${height}"
      role="img"
      aria-label="Graph of stages; the table below says the same in words"
    >
      ${placed.flatMap((to) => to.task.dependsOn.map((id) => edge(byId.get(id), to)))} ${placed.map(box)}
    </svg>
  </div>`;
}

function placeColumn(column: readonly TaskSummary[], { x, height }: { readonly x: number; readonly height: number }): PlacedTask[] {
  const top = (height - (column.length * (boxHeight + gapY) - gapY)) / 2;
  return column.map((task, index) => ({ task, x, y: top + index * (boxHeight + gapY) }));
}

function edge(from: PlacedTask | undefined, to: PlacedTask): Html {
  if (from === undefined) return html``;
  const start = { x: from.x + boxWidth, y: from.y + boxHeight / 2 };
  const end = { x: to.x, y: to.y + boxHeight / 2 };
  const bend = Math.max(gapX / 2, (end.x - start.x) / 2);
  const path = `M${start.x} ${start.y}C${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x} ${end.y}`;
  return html`<path class="edge ${taskStateWord(from.task.state)}" d="${path}" /> `;
}

function box({ task, x, y }: PlacedTask): Html {
  const state = taskStateWord(task.state);
  // A metric's name is too long for the line that says how long it took.
  const [name = "", ...metric] = task.stage.split("/");
  const label = [...metric, ...(task.label === "" ? [] : [task.label]), state].join(" · ");
  return html`<g class="box ${state}" transform="translate(${x} ${y})"
    ><title>${task.stage} ${task.label}: ${state}</title> <rect width="${boxWidth}" height="${boxHeight}" rx="6" /><rect
      class="mark"
      width="5"
      height="${boxHeight}"
      rx="2"
    />
    <text x="14" y="22" class="name">${name}</text>
    <text x="14" y="40" class="label">${excerpt(label, 29)}</text>
    ${task.computeMs > 0 && !task.reused && html`<text x="${boxWidth - 8}" y="22" class="time">${duration(task.computeMs)}</text>`}
    ${task.reused && html`<text x="${boxWidth - 8}" y="22" class="time">reused</text>`}
  </g> `;
}
