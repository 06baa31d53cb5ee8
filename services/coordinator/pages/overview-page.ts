/**
 * The farm at a glance: holds, pools with their queues and workers, what runs now, jobs that have not ended.
 */
import { type Job, JobState, type RunningTask, type Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Farm, Pool, WorkerCounts } from "../../gen/proto/vapfarm/v1/operator.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { jobsTable } from "./jobs-page.ts";
import { linkTo, type Page, type Visit } from "./page.ts";
import { fragment, holdNotes, progress, section, shortId, table } from "./parts.ts";
import { byteSize, counted, duration } from "./words.ts";

const refreshMs = 3_000;
const shownJobs = 10;
const openStates = [JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_QUEUED];

/** `/` */
export async function overviewPage(visit: Visit): Promise<Page> {
  const { reader, root } = visit;
  const [farm, workers, running, queued] = await Promise.all([
    reader.farm(),
    reader.workers(),
    ...openStates.map((state) => reader.jobs({ states: [state], pageSize: shownJobs })),
  ]);
  const open = [...(running?.jobs ?? []), ...(queued?.jobs ?? [])].slice(0, shownJobs);
  const body = html`<h1>Farm ${farm.name} <small>release ${farm.version}${farm.epoch > 1n && html`, epoch ${farm.epoch}`}</small></h1>
    ${fragment("farm", farmPart(farm, visit))} ${fragment("running", section("running-title", "Running now", runningTable(workers, root)))}
    ${fragment("pools", section("pools-title", "Pools", poolParts(farm)))}
    ${fragment("open-jobs", section("jobs-title", "Open jobs", openJobs(open, { farm, visit })))}`;
  return { title: `Farm ${farm.name}`, section: "", body, live: { everyMs: refreshMs } };
}

function farmPart(farm: Farm, { root, now }: Visit): Html {
  const live = farm.pools.reduce((sum, { workers }) => sum + liveWorkers(workers), 0);
  const waiting = farm.pools.flatMap(({ queues }) => queues).reduce((sum, { ready, delayed }) => sum + ready + delayed, 0);
  const running = farm.pools.flatMap(({ queues }) => queues).reduce((sum, one) => sum + one.running, 0);
  return html`${holdNotes(farm.holds, now)}
    <ul class="tiles">
      ${tile(farm.openJobs, farm.openJobs === 1 ? "open job" : "open jobs", linkTo(root, ["jobs"], { state: ["queued", "running"] }))}
      ${tile(running, running === 1 ? "task runs" : "tasks run")} ${tile(waiting, waiting === 1 ? "task waits" : "tasks wait")}
      ${tile(live, live === 1 ? "live worker" : "live workers", linkTo(root, ["workers"]))}
    </ul>`;
}

function poolParts(farm: Farm): Content {
  return farm.pools.length === 0 ? html`<p class="empty">The farm has no pool.</p>` : farm.pools.map(poolPart);
}

function tile(count: number, words: string, link?: string): Html {
  const inner = html`<strong>${count}</strong> ${words}`;
  return html`<li>${link === undefined ? inner : html`<a href="${link}">${inner}</a>`}</li>`;
}

function liveWorkers(counts: WorkerCounts | undefined): number {
  return counts === undefined ? 0 : counts.idle + counts.busy + counts.draining;
}

function poolPart(pool: Pool): Html {
  const queues = table({
    caption: `Open tasks of pool ${pool.name} by stage`,
    columns: [
      { title: "Stage", isRowHead: true },
      ...["Running", "Ready", "Delayed", "Blocked", "Oldest ready"].map((title) => ({ title, isNumber: true })),
    ],
    rows: pool.queues.map((queue) => ({
      cells: [
        queue.stage,
        ...[queue.running, queue.ready, queue.delayed, queue.blocked].map(quietZero),
        queue.oldestReadyMs > 0 ? duration(queue.oldestReadyMs) : html`<span class="none">–</span>`,
      ],
    })),
    empty: "No open tasks.",
  });
  return html`<article class="card">
    <h3>${pool.name} <small>${pool.profile}</small></h3>
    ${workerWords(pool.workers)} ${queues}
  </article>`;
}

function quietZero(count: number): Content {
  return count === 0 ? html`<span class="none">0</span>` : count;
}

function workerWords(counts: WorkerCounts | undefined): Html {
  const states = ["busy", "idle", "draining", "lost", "stopped", "cordoned", "suspended"] as const;
  const shown = states.flatMap((state) => (counts === undefined || counts[state] === 0 ? [] : [{ state, count: counts[state] }]));
  if (shown.length === 0) return html`<p class="empty">No worker has come to this pool.</p>`;
  return html`<ul class="counts" aria-label="Workers">
    ${shown.map(({ state, count }) => html`<li class="${state}">${count} ${state}</li>`)}
  </ul>`;
}

/** What workers run, with step and time left. */
export function runningTable(workers: readonly Worker[], root: string): Html {
  const rows = workers.flatMap((worker) => worker.running.map((task) => ({ worker, task })));
  return table({
    caption: "What runs now",
    columns: [
      { title: "Stage", isRowHead: true },
      { title: "Job" },
      { title: "Worker" },
      { title: "Phase" },
      { title: "Progress" },
      { title: "For", isNumber: true },
      { title: "Left", isNumber: true },
    ],
    rows: rows.map(({ worker, task }) => ({
      key: `task-${task.taskId}`,
      cells: [
        task.stage,
        task.jobId === ""
          ? html`<span class="none">–</span>`
          : html`<a href="${linkTo(root, ["jobs", task.jobId, "renders", task.renderPosition])}"
              >${shortId(task.jobId)} #${task.renderPosition}</a
            >`,
        html`<a href="${linkTo(root, ["workers", worker.workerId])}">${worker.name}</a>`,
        task.phase,
        runningProgress(task),
        duration(task.elapsedMs),
        timeLeft(task),
      ],
    })),
    empty: "Nothing runs.",
  });
}

/** Steps done of all, where the stage has steps. */
export function runningProgress(task: RunningTask): Html {
  const { step = 0, steps = 0 } = task.progress ?? {};
  return steps === 0 ? html`<span class="none">–</span>` : progress({ step, steps, label: `Steps of ${task.stage}` });
}

/** The estimate, where there is one. */
export function timeLeft(task: RunningTask): Content {
  return task.remainingMs === undefined ? html`<span class="none">–</span>` : `≈ ${duration(task.remainingMs)}`;
}

function openJobs(jobs: readonly Job[], { farm, visit }: { readonly farm: Farm; readonly visit: Visit }): Html {
  const more = farm.openJobs - jobs.length;
  const link = linkTo(visit.root, ["jobs"], { state: ["queued", "running"] });
  return html`${jobsTable(jobs, { visit, empty: "No open job.", caption: "Open jobs" })}
  ${more > 0 && html`<p><a href="${link}">${counted(more, "more open job")}</a></p>`}`;
}

/** Device memory, where the worker told. */
export function memoryWords(worker: Worker): string {
  return worker.memoryBytes === 0n ? "" : byteSize(worker.memoryBytes);
}
