/**
 * One job: what it is, how its renders and stages stand, what happened, and the commands that act on it.
 */
import { type Job, type JobEvent, JobState, type Render } from "../../gen/proto/vapfarm/v1/farm.ts";
import { deadlineWord, hasEnded, jobClassWord, jobStateWord, reuseWord } from "../../platform/words.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { renderCounts } from "./jobs-page.ts";
import { failuresPart } from "./failures-part.ts";
import { liveOf } from "./live.ts";
import { linkTo, type Page, type Visit } from "./page.ts";
import { badge, breadcrumbs, command, facts, failureNote, fragment, section, table, warningNotes } from "./parts.ts";
import { runningById, stagesPart } from "./task-table.ts";
import { ageOf, counted, duration, excerpt, timeOf } from "./words.ts";

const shownEvents = 50;
const shownRenders = 100;
const promptCharacters = 70;

/** `/jobs/{id}` */
export async function jobPage(visit: Visit): Promise<Page> {
  const { reader, root, segments } = visit;
  const job = await reader.job(segments[1] ?? "");
  const isBatch = job.render === undefined;
  const [workers, inner] = await Promise.all([hasEnded(job.state) ? [] : reader.workers(), isBatch ? rendersPart(job, visit) : undefined]);
  const [events, failures] = await Promise.all([
    eventsPart(job, visit),
    job.failure === undefined ? undefined : failuresPart(visit, job.jobId),
  ]);
  const title = `Job ${job.jobId.slice(0, 8)}`;
  const body = html`${breadcrumbs([["Jobs", linkTo(root, ["jobs"])]], job.jobId)}
    <h1>${title} ${fragment("state", badge(jobStateWord(job.state)))}</h1>
    ${fragment("facts", jobFacts(job, visit))} ${!isBatch && promptPart(job, root)}
    ${inner ?? fragment("stages", section("stages-title", "Stages", stagesPart(job.tasks, runningById(workers))))} ${failures}
    ${fragment("events", events)} ${section("commands-title", "On the command line", commands(job))}`;
  return { title, section: "jobs", body, ...liveOf(job) };
}

function jobFacts(job: Job, { root, now }: Visit): Html {
  const { createTime, endTime, deadline, webhook } = job;
  const tookMs = createTime === undefined || endTime === undefined ? undefined : endTime.getTime() - createTime.getTime();
  return html`${job.failure !== undefined && failureNote(job.failure)} ${warningNotes(job.warnings, job.modelWeights)}
  ${facts([
    ["Tenant", job.tenant],
    ["Class", jobClassWord(job.jobClass)],
    ["Priority", job.priority],
    ["Reuse", reuseWord(job.reuse)],
    ["Submitted", html`${timeOf(createTime)} UTC`],
    ["Ended", endTime !== undefined && html`${timeOf(endTime)} UTC`],
    ["Took", tookMs !== undefined && duration(tookMs)],
    ["Deadline", deadline !== undefined && html`${timeOf(deadline)} UTC (${ageOf(deadline, now)}, ${deadlineWord(job.deadlineStanding)})`],
    ["Renders", renderCounts(job.renderCounts)],
    ["Webhook", webhook !== undefined && html`<span class="wrap">${webhook.url}</span> ${webhookWords(job, now)}`],
    ["Why it waits", !hasEnded(job.state) && html`<a href="${linkTo(root, ["jobs", job.jobId, "explain"])}">Explain</a>`],
  ])}`;
}

function webhookWords({ webhook }: Job, now: Date): Content {
  const delivery = webhook?.delivery;
  if (delivery === undefined) return "";
  if (delivery.deliveredTime !== undefined) return html`<small>delivered ${ageOf(delivery.deliveredTime, now)}</small>`;
  const next = delivery.nextTryTime === undefined ? "given up" : html`next try ${ageOf(delivery.nextTryTime, now)}`;
  return html`<small
    >${counted(delivery.tries, "try").replace("trys", "tries")}, ${next}${delivery.lastError !== "" && `: ${delivery.lastError}`}</small
  >`;
}

function promptPart(job: Job, root: string): Html {
  const link = linkTo(root, ["jobs", job.jobId, "renders", 0]);
  const text = excerpt(job.render?.prompt ?? "", 300);
  return html`<p class="lead"><q class="prompt" dir="auto">${text}</q></p>
    <p><a class="button" href="${link}">Open the render: result, media and settings</a></p>`;
}

async function rendersPart(job: Job, visit: Visit): Promise<Html> {
  const { reader, root, query } = visit;
  const words = query.getAll("state");
  const states = Object.values(JobState).filter((state) => state > 0 && words.includes(jobStateWord(state)));
  const request = { jobId: job.jobId, states, pageSize: shownRenders, pageToken: query.get("page") ?? "" };
  const { renders, nextPageToken } = await reader.renders(request);
  const choices = (["queued", "running", "succeeded", "failed", "cancelled"] as const).flatMap((word) => {
    const count = job.renderCounts?.[word] ?? 0;
    if (count === 0) return [];
    const mark = words.includes(word) && html` aria-current="true"`;
    return [html`<li class="${word}"><a href="${linkTo(root, ["jobs", job.jobId], { state: word })}" ${mark}>${count} ${word}</a></li>`];
  });
  const all = html`<li>
    <a href="${linkTo(root, ["jobs", job.jobId])}" ${words.length === 0 && html` aria-current="true"`}
      >${job.renderCounts?.total ?? 0} in all</a
    >
  </li>`;
  const next = linkTo(root, ["jobs", job.jobId], { state: words, page: nextPageToken });
  const content = html`<ul class="counts" aria-label="Renders by state">
      ${all}${choices}
    </ul>
    ${rendersTable(renders, visit)}
    ${nextPageToken !== "" && html`<nav class="pages" aria-label="Pages"><a rel="next" href="${next}">Next page</a></nav>`}`;
  return fragment("renders", section("renders-title", "Renders", content));
}

function rendersTable(renders: readonly Render[], { root }: Visit): Html {
  return table({
    caption: "Renders",
    columns: [
      { title: "Render", isRowHead: true },
      { title: "State" },
      { title: "Prompt" },
      { title: "Model" },
      { title: "Seed", isNumber: true },
      { title: "Ended" },
      { title: "Failure" },
    ],
    rows: renders.map((render) => ({
      key: `render-${render.position}`,
      cells: [
        html`<a href="${linkTo(root, ["jobs", render.jobId, "renders", render.position])}">#${render.position}</a>`,
        badge(jobStateWord(render.state)),
        html`<span class="prompt" dir="auto">${excerpt(render.spec?.prompt ?? "", promptCharacters)}</span>`,
        render.spec?.model ?? "",
        render.spec?.seed ?? "",
        timeOf(render.endTime),
        render.failure === undefined ? "" : html`<code>${render.failure.code}</code>`,
      ],
    })),
    empty: "No render matches.",
  });
}

async function eventsPart(job: Job, { reader, root, query }: Visit): Promise<Html> {
  const asked = query.get("events-after") ?? "";
  const latest = job.lastEventNumber - BigInt(shownEvents);
  const after = /^\d{1,15}$/.test(asked) ? BigInt(asked) : latest > 0n ? latest : 0n;
  const { events, hasMore } = await reader.events({ jobId: job.jobId, afterEventNumber: after, pageSize: shownEvents });
  const to = (number: bigint): string => linkTo(root, ["jobs", job.jobId], { "events-after": String(number) });
  const earlier = after - BigInt(shownEvents);
  const links = html`<nav class="pages" aria-label="Events">
    <ul>
      ${after > 0n && html`<li><a href="${to(earlier > 0n ? earlier : 0n)}">Earlier events</a></li>`}
      ${hasMore && html`<li><a href="${to(after + BigInt(shownEvents))}">Later events</a></li>`}
    </ul>
  </nav>`;
  return section("events-title", "Events", html`${eventsTable(events)}${(after > 0n || hasMore) && links}`);
}

function eventsTable(events: readonly JobEvent[]): Html {
  return table({
    caption: "Events",
    columns: [
      { title: "No.", isNumber: true, isRowHead: true },
      { title: "Time (UTC)" },
      { title: "Event" },
      { title: "Render", isNumber: true },
      { title: "Worker" },
      { title: "Message" },
    ],
    rows: events.map((event) => ({
      key: `event-${event.number}`,
      cells: [
        event.number,
        timeOf(event.time),
        html`<code class="kind">${event.kind}</code>${event.stage !== "" && html` ${event.stage}`}`,
        event.renderPosition === undefined ? "" : html`#${event.renderPosition}`,
        event.workerName,
        html`<span class="wrap" dir="auto">${event.message}</span>`,
      ],
    })),
    empty: "No events are kept any more.",
  });
}

function commands({ jobId, state }: Job): Html {
  const open = [`vapfarm watch ${jobId}`, `vapfarm explain ${jobId}`, `vapfarm cancel ${jobId}`, `vapfarm update ${jobId} --priority 10`];
  const ended = state === JobState.JOB_STATE_SUCCEEDED ? [`vapfarm download ${jobId}`] : [`vapfarm retry ${jobId}`];
  return html`<ul class="commands">
    ${[`vapfarm job ${jobId}`, ...(hasEnded(state) ? ended : open)].map(command)}
  </ul>`;
}
