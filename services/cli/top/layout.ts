/**
 * The live view of a farm as lines: a pure function of what is known and of the terminal's size.
 *
 * Header and footer stay, what lies between scrolls as one piece. Whatever the size, there are never more lines than the terminal has,
 * and none is wider.
 */
import { type Job, type Worker, WorkerState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { type Farm, type Hold, HoldScope, type Pool } from "../../gen/proto/vapfarm/v1/operator.ts";
import { spanText } from "../ages.ts";
import { cutText, plainText } from "../table.ts";
import { bar, type Column, grid } from "./grid.ts";

/** What was read from the farm at one time. */
export type FarmPicture = {
  readonly farm: Farm;
  readonly workers: readonly Worker[];
  /** The jobs that come first among those that wait. */
  readonly queue: readonly Job[];
};

/** What the view knows. */
export type TopState = {
  /** Where it was asked. */
  readonly address: string;
  /** The last that was read; undefined before the first answer. */
  readonly picture: FarmPicture | undefined;
  /** Why the last reading failed; undefined while the farm answers. */
  readonly failure: string | undefined;
  /** How old the picture is. */
  readonly ageMs: number;
  readonly isPaused: boolean;
  /** Lines of the middle part above the first that is shown. */
  readonly scroll: number;
};

/** Of the terminal, in cells. */
export type Size = { readonly width: number; readonly height: number };
/** What a line is, for its colours. */
export type TopStyle = "title" | "heading" | "columns" | "plain" | "quiet" | "warning" | "alarm";
/** One line of the screen. */
export type TopLine = { readonly text: string; readonly style: TopStyle };
/** What is drawn, and how far it scrolls. */
export type TopScreen = {
  readonly lines: readonly TopLine[];
  /** Lines that the middle part shows at once: a page. */
  readonly page: number;
  /** The largest scroll that shows something new. */
  readonly scrollMost: number;
};

/** The whole screen. */
export function layoutTop(state: TopState, size: Size): TopScreen {
  const header = headerLines(state).slice(0, Math.max(1, size.height - 2));
  const body = state.picture === undefined ? [] : bodyLines(state.picture, size.width);
  const footerHeight = size.height >= 4 ? 1 : 0;
  const page = Math.max(0, size.height - header.length - footerHeight);
  const scrollMost = Math.max(0, body.length - page);
  const scroll = Math.min(Math.max(0, state.scroll), scrollMost);
  const shown = body.slice(scroll, scroll + page);
  const place = body.length > page ? `   lines ${scroll + 1}-${scroll + shown.length} of ${body.length}` : "";
  const filler = Array.from({ length: page - shown.length }, () => line("plain", ""));
  const footer = footerHeight === 1 ? [line("quiet", `q quit  p ${state.isPaused ? "go on" : "pause"}  ↑↓ PgUp PgDn scroll${place}`)] : [];
  const lines = [...header, ...shown, ...filler, ...footer].slice(0, Math.max(0, size.height));
  return { lines: lines.map(({ style, text }) => line(style, cutText(plainText(text), size.width))), page, scrollMost };
}

/** The same without a terminal: everything, no keys. */
export function snapshotLines(state: TopState, width: number): readonly string[] {
  const body = state.picture === undefined ? [] : bodyLines(state.picture, width);
  return [...headerLines(state), ...body].map(({ text }) => cutText(plainText(text), width));
}

function line(style: TopStyle, text: string): TopLine {
  return { style, text };
}

function headerLines(state: TopState): readonly TopLine[] {
  const { picture, failure, isPaused, ageMs, address } = state;
  const alarm = `the farm does not answer (${failure ?? ""}); asking again. What follows is ${spanText(ageMs)} old`;
  const banner = failure === undefined ? [] : [line("alarm", alarm)];
  if (picture === undefined)
    return [line("title", `vapfarm  ${address}  ${failure === undefined ? "asking..." : ""}`.trimEnd()), ...banner];
  const { farm } = picture;
  const time = farm.time === undefined ? "" : `${farm.time.toISOString().slice(11, 19)} UTC`;
  const jobs = `${farm.openJobs} open ${farm.openJobs === 1 ? "job" : "jobs"}`;
  const paused = isPaused ? `PAUSED ${spanText(ageMs)} ago` : "";
  const title = ["vapfarm", farm.name, farm.version, time, jobs, paused].filter((part) => part !== "").join("  ");
  return [line("title", title), ...banner, ...farm.holds.map((hold) => line("warning", holdText(hold)))];
}

function holdText({ scope, name, reason, placedBy }: Hold): string {
  const what = scope === HoldScope.HOLD_SCOPE_FARM ? "the farm" : `${scope === HoldScope.HOLD_SCOPE_POOL ? "pool" : "tenant"} ${name}`;
  return `held: ${what}${reason === "" ? "" : `, ${reason}`}${placedBy === "" ? "" : ` (by ${placedBy})`}`;
}

function bodyLines(picture: FarmPicture, width: number): readonly TopLine[] {
  const now = picture.farm.time ?? new Date(0);
  const queue = picture.queue.map((job) => queueRow(job, now));
  const workers = picture.workers.map((worker) => workerRow(worker, now));
  return [
    ...section("POOLS", grid(poolColumns, picture.farm.pools.map(poolRow), width)),
    ...section("RUNNING", grid(runningColumns, runningRows(picture.workers), width)),
    ...section("QUEUE", grid(queueColumns, queue, width)),
    ...section("WORKERS", grid(workerColumns, workers, width)),
  ];
}

/** A section without rows says so in one line. */
function section(title: string, [columns = "", ...rows]: readonly string[]): readonly TopLine[] {
  if (rows.length === 0) return [line("heading", title), line("quiet", "none")];
  return [line("heading", `${title} (${rows.length})`), line("columns", columns), ...rows.map((row) => line("plain", row))];
}

const number = { isNumber: true, least: 3 };
const poolColumns: readonly Column[] = [
  { title: "pool", yields: 2, least: 8 },
  { title: "running", yields: 0, ...number },
  { title: "ready", yields: 0, ...number },
  { title: "blocked", yields: 5, ...number },
  { title: "delayed", yields: 6, ...number },
  { title: "oldest wait", yields: 4, isNumber: true, least: 6 },
  { title: "workers", yields: 3, least: 8 },
];

const workerStates = ["idle", "busy", "draining", "cordoned", "lost", "stopped"] as const;

function poolRow({ name, queues, workers }: Pool): readonly string[] {
  const sum = (of: "running" | "ready" | "blocked" | "delayed"): string => String(queues.reduce((total, each) => total + each[of], 0));
  const oldestMs = Math.max(0, ...queues.map(({ oldestReadyMs }) => oldestReadyMs));
  const some = workers === undefined ? [] : workerStates.filter((state) => workers[state] > 0);
  const counts = some.map((state) => `${workers?.[state] ?? 0} ${state}`);
  const wait = oldestMs === 0 ? "-" : spanText(oldestMs);
  return [name, sum("running"), sum("ready"), sum("blocked"), sum("delayed"), wait, counts.length === 0 ? "none" : counts.join(", ")];
}

const runningColumns: readonly Column[] = [
  { title: "job", yields: 3, least: 8 },
  { title: "render", yields: 5, ...number },
  { title: "stage", yields: 1, least: 7 },
  { title: "progress", yields: 2, least: 6 },
  { title: "left", yields: 0, isNumber: true, least: 4 },
  { title: "for", yields: 6, isNumber: true, least: 4 },
  { title: "worker", yields: 4, least: 8 },
];
const barWidth = 20;

function runningRows(workers: readonly Worker[]): readonly (readonly string[])[] {
  const tasks = workers.flatMap(({ name, running }) => running.map((task) => ({ name, task })));
  const ordered = tasks.toSorted((left, right) => (left.task.remainingMs ?? Infinity) - (right.task.remainingMs ?? Infinity));
  return ordered.map(({ name, task }) => {
    const { step = 0, steps = 0 } = task.progress ?? {};
    const progress = steps > 1 ? bar(step, steps, barWidth) : task.phase;
    const left = task.remainingMs === undefined ? "-" : spanText(task.remainingMs);
    return [task.jobId, String(task.renderPosition), task.stage, progress, left, spanText(task.elapsedMs), name];
  });
}

const queueColumns: readonly Column[] = [
  { title: "job", yields: 2, least: 8 },
  { title: "tenant", yields: 4, least: 6 },
  { title: "priority", yields: 3, isNumber: true, least: 4 },
  { title: "waits", yields: 0, isNumber: true, least: 4 },
  { title: "deadline in", yields: 5, isNumber: true, least: 5 },
  { title: "renders", yields: 1, least: 7 },
];

function queueRow(job: Job, now: Date): readonly string[] {
  const counts = job.renderCounts;
  const renders = counts === undefined ? "" : `${counts.queued} of ${counts.total}`;
  const waits = job.createTime === undefined ? "" : spanText(now.getTime() - job.createTime.getTime());
  return [job.jobId, job.tenant, String(job.priority), waits, deadlineText(job, now), renders];
}

function deadlineText({ deadline }: Job, now: Date): string {
  if (deadline === undefined) return "-";
  const ms = deadline.getTime() - now.getTime();
  return ms < 0 ? `${spanText(-ms)} late` : spanText(ms);
}

const workerColumns: readonly Column[] = [
  { title: "worker", yields: 1, least: 8 },
  { title: "pool", yields: 4, least: 6 },
  { title: "state", yields: 0, least: 5 },
  { title: "runs", yields: 2, least: 6 },
  { title: "beat", yields: 3, isNumber: true, least: 3 },
  { title: "device", yields: 5, least: 6 },
  { title: "version", yields: 6, least: 5 },
];

const stateNames: Readonly<Partial<Record<WorkerState, string>>> = {
  [WorkerState.WORKER_STATE_IDLE]: "idle",
  [WorkerState.WORKER_STATE_BUSY]: "busy",
  [WorkerState.WORKER_STATE_DRAINING]: "draining",
  [WorkerState.WORKER_STATE_LOST]: "LOST",
  [WorkerState.WORKER_STATE_STOPPED]: "stopped",
};

function workerRow(worker: Worker, now: Date): readonly string[] {
  const state = stateNames[worker.state] ?? "unknown";
  const cordon = worker.cordon === undefined ? "" : `, cordoned${worker.cordon.reason === "" ? "" : ` (${worker.cordon.reason})`}`;
  const runs = worker.running.map(({ stage, progress }) =>
    progress === undefined || progress.steps <= 1 ? stage : `${stage} ${progress.step}/${progress.steps}`,
  );
  const beat = worker.lastBeatTime === undefined ? "never" : spanText(now.getTime() - worker.lastBeatTime.getTime());
  return [worker.name, worker.pool, `${state}${cordon}`, runs.join(", "), beat, worker.device, worker.softwareVersion];
}
