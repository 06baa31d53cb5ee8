/**
 * Workers: all of them, and one.
 */
import type { Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { HealthState, type WorkerHealth } from "../../gen/proto/vapfarm/v1/operator.ts";
import { healthStateWord, workerStateWord } from "../../platform/words.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { linkTo, type Page, type Visit } from "./page.ts";
import { badge, breadcrumbs, command, facts, fragment, section, table } from "./parts.ts";
import { memoryWords, runningTable } from "./overview-page.ts";
import { ageOf } from "./words.ts";

const refreshMs = 3_000;

/** `/workers` */
export async function workersPage(visit: Visit): Promise<Page> {
  const workers = await visit.reader.workers();
  const body = html`<h1>Workers</h1>
    ${fragment("workers", workersTable(workers, visit))}`;
  return { title: "Workers", section: "workers", body, live: { everyMs: refreshMs } };
}

function workersTable(workers: readonly Worker[], { root, now }: Visit): Html {
  return table({
    caption: "Workers",
    columns: [
      { title: "Worker", isRowHead: true },
      { title: "State" },
      { title: "Pool" },
      { title: "Host" },
      { title: "Device" },
      { title: "Provider" },
      { title: "Runs" },
      { title: "Last beat", isNumber: true },
    ],
    rows: workers.map((worker) => ({
      key: `worker-${worker.workerId}`,
      cells: [
        html`<a href="${linkTo(root, ["workers", worker.workerId])}">${worker.name}</a>`,
        states(worker),
        worker.pool,
        worker.host,
        html`${worker.device}${worker.memoryBytes > 0n && html` <small>${memoryWords(worker)}</small>`}`,
        worker.provider,
        worker.running.length === 0 ? html`<span class="none">–</span>` : worker.running.map(({ stage }) => stage).join(", "),
        ageOf(worker.lastBeatTime, now),
      ],
    })),
    empty: "No worker has come to the farm yet.",
  });
}

function states({ state, cordon, health }: Worker): Content {
  const judged = health !== undefined && (isJudged(health) ? healthStateWord(health.state) : "engine shut");
  return html`${badge(workerStateWord(state))}${cordon !== undefined && html` ${badge("cordoned")}`}${judged !== false && html` ${badge(judged)}`}`;
}

function isJudged({ state }: WorkerHealth): boolean {
  return state !== HealthState.HEALTH_STATE_HEALTHY;
}

/** `/workers/{id}` */
export async function workerPage(visit: Visit): Promise<Page> {
  const { reader, root, segments } = visit;
  const worker = await reader.worker(segments[1] ?? "");
  const body = html`${breadcrumbs([["Workers", linkTo(root, ["workers"])]], worker.name)}
    <h1>Worker ${worker.name} ${fragment("state", states(worker))}</h1>
    ${fragment("facts", workerFacts(worker, visit))}
    ${fragment("running", section("running-title", "Runs now", runningTable([worker], root)))}
    ${section("commands-title", "On the command line", commands(worker))}`;
  return { title: `Worker ${worker.name}`, section: "workers", body, live: { everyMs: refreshMs } };
}

function workerFacts(worker: Worker, { now }: Visit): Html {
  const { cordon } = worker;
  const note =
    cordon !== undefined &&
    html`<div class="note warn">
      <p><strong>Gets nothing new.</strong> <span dir="auto">${cordon.reason === "" ? "No reason given." : cordon.reason}</span></p>
      <p class="fine">
        By ${cordon.placedBy},
        ${ageOf(cordon.placeTime, now)}${cordon.drainTime !== undefined && html`; what it runs is given back ${ageOf(cordon.drainTime, now)}`}.
      </p>
    </div>`;
  return html`${note}${worker.health !== undefined && healthNote(worker.health, now)}${facts([
    ["Id", html`<code class="wrap">${worker.workerId}</code>`],
    ["Pool", worker.pool],
    ["Host", worker.host],
    ["Device", worker.device],
    ["Memory", memoryWords(worker)],
    ["Provider", worker.provider],
    ["Profile", html`<span class="wrap">${worker.profile}</span>`],
    ["Models", worker.models.join(", ")],
    ["Release", worker.softwareVersion],
    ["Last beat", ageOf(worker.lastBeatTime, now)],
  ])}`;
}

/** What is held against it, and until when. */
function healthNote(health: WorkerHealth, now: Date): Html {
  const { state, reason, sinceTime, endTime, quarantines } = health;
  const until = endTime !== undefined && html`, until ${ageOf(endTime, now)}`;
  const what = state === HealthState.HEALTH_STATE_SUSPENDED ? "Suspended: gets nothing." : "On probation: gets one task at a time.";
  return html`<div class="note warn">
    ${isJudged(health) && html`<p><strong>${what}</strong> <span dir="auto">${reason}</span>. Since ${ageOf(sinceTime, now)}${until}.</p>`}
    ${quarantines.map(
      (each) =>
        html`<p>
          <strong>Gets nothing of <code class="wrap">${each.shape}</code></strong> until ${ageOf(each.endTime, now)}:
          <code>${each.code}</code> <span dir="auto">${each.message}</span>
        </p>`,
    )}
  </div>`;
}

function commands({ workerId, cordon, health }: Worker): Html {
  const steer =
    cordon === undefined
      ? [`vapfarm workers cordon ${workerId}`, `vapfarm workers drain ${workerId} --grace 5m`]
      : [`vapfarm workers uncordon ${workerId}`];
  return html`<ul class="commands">
    ${[...steer, ...(health === undefined ? [] : [`vapfarm workers clear ${workerId}`])].map(command)}
  </ul>`;
}
