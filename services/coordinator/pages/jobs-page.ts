/**
 * Jobs by filter and order, a page at a time.
 */
import { type Job, JobClass, JobState, type RenderCounts } from "../../gen/proto/vapfarm/v1/farm.ts";
import { jobClassWord, jobStateWord } from "../../platform/words.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { linkTo, type Page, type Visit } from "./page.ts";
import { badge, fragment, shortId, table } from "./parts.ts";
import { ageOf, duration, excerpt, valuesOf } from "./words.ts";

const orders = {
  "create_time desc": "newest first",
  create_time: "oldest first",
  "end_time desc": "last ended first",
  end_time: "first ended first",
  "priority desc": "highest priority first",
  priority: "lowest priority first",
} as const;

const refreshMs = 5_000;
const promptCharacters = 60;

/** The filters as they stand in the address. */
type Filters = {
  readonly states: readonly JobState[];
  readonly jobClass: JobClass;
  readonly order: string;
  readonly text: Readonly<Record<"tenant" | "model" | "after" | "before", string>>;
};

/** `/jobs` */
export async function jobsPage(visit: Visit): Promise<Page> {
  const { reader, query, root } = visit;
  const filters = filtersOf(query);
  const pageToken = query.get("page") ?? "";
  const { jobs, nextPageToken } = await reader.jobs({
    tenant: filters.text.tenant,
    states: [...filters.states],
    jobClass: filters.jobClass,
    model: filters.text.model,
    createdAfter: dateOf(filters.text.after),
    createdBefore: dateOf(filters.text.before),
    orderBy: filters.order,
    pageToken,
  });
  const kept = keptQuery(query);
  const pages = html`<nav class="pages" aria-label="Pages">
    <ul>
      ${pageToken !== "" && html`<li><a href="${linkTo(root, ["jobs"], kept)}">First page</a></li>`}
      ${nextPageToken !== "" && html`<li><a rel="next" href="${linkTo(root, ["jobs"], { ...kept, page: nextPageToken })}">Next page</a></li>`}
    </ul>
  </nav>`;
  const body = html`<h1>Jobs</h1>
    ${filterForm(filters, root)}
    ${fragment("jobs", html`${jobsTable(jobs, { visit, empty: "No job matches.", caption: "Jobs" })}${(pageToken !== "" || nextPageToken !== "") && pages}`)}`;
  return { title: "Jobs", section: "jobs", body, live: { everyMs: refreshMs } };
}

const filterNames = ["state", "class", "tenant", "model", "after", "before", "order"] as const;

function keptQuery(query: URLSearchParams): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(filterNames.map((name) => [name, query.getAll(name)]));
}

function filtersOf(query: URLSearchParams): Filters {
  const text = (name: string): string => (query.get(name) ?? "").trim();
  const words = query.getAll("state");
  return {
    states: valuesOf(JobState).filter((state) => words.includes(jobStateWord(state))),
    jobClass: valuesOf(JobClass).find((one) => jobClassWord(one) === text("class")) ?? JobClass.JOB_CLASS_UNSPECIFIED,
    order: text("order"),
    text: { tenant: text("tenant"), model: text("model"), after: text("after"), before: text("before") },
  };
}

/** A day of a date field, UTC; anything else is no filter. */
function dateOf(text: string): Date | undefined {
  const date = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

function filterForm({ states, jobClass, order, text }: Filters, root: string): Html {
  const states_ = valuesOf(JobState).map((state) => {
    const word = jobStateWord(state);
    return html`<label class="check"
      ><input type="checkbox" name="state" value="${word}" ${states.includes(state) && html` checked`} /> ${word}</label
    >`;
  });
  const classes = valuesOf(JobClass).map((one) => option(jobClassWord(one), jobClassWord(one), one === jobClass));
  return html`<form class="filters" method="get" action="${linkTo(root, ["jobs"])}" aria-label="Filter jobs">
    <fieldset>
      <legend>State</legend>
      ${states_}
    </fieldset>
    <label
      >Class
      <select name="class">
        <option value="">any</option>
        ${classes}
      </select></label
    >
    <label>Tenant <input name="tenant" value="${text.tenant}" size="12" autocomplete="off" /></label>
    <label>Model <input name="model" value="${text.model}" size="12" autocomplete="off" /></label>
    <label>From <input type="date" name="after" value="${text.after}" /></label>
    <label>Before <input type="date" name="before" value="${text.before}" /></label>
    <label
      >Order
      <select name="order">
        ${Object.entries(orders).map(([value, name]) => option(value, name, value === order))}
      </select></label
    >
    <div class="actions"><button>Apply</button> <a href="${linkTo(root, ["jobs"])}">Clear</a></div>
  </form>`;
}

function option(value: string, name: string, isSelected: boolean): Html {
  return html`<option value="${value}" ${isSelected && html` selected`}>${name}</option>`;
}

/** What a table of jobs depends on beside the jobs. */
export type JobsTable = { readonly visit: Visit; readonly empty: string; readonly caption: string };

/** A row for each job. */
export function jobsTable(jobs: readonly Job[], { visit: { root, now }, empty, caption }: JobsTable): Html {
  return table({
    caption,
    columns: [
      { title: "Job", isRowHead: true },
      { title: "State" },
      { title: "What" },
      { title: "Renders" },
      { title: "Class" },
      { title: "Tenant" },
      { title: "Priority", isNumber: true },
      { title: "Submitted", isNumber: true },
      { title: "Took", isNumber: true },
    ],
    rows: jobs.map((job) => ({
      key: `job-${job.jobId}`,
      cells: [
        html`<a href="${linkTo(root, ["jobs", job.jobId])}">${shortId(job.jobId)}</a>`,
        badge(jobStateWord(job.state)),
        what(job),
        renderCounts(job.renderCounts),
        jobClassWord(job.jobClass),
        job.tenant,
        job.priority === 0 ? html`<span class="none">0</span>` : job.priority,
        ageOf(job.createTime, now),
        took(job),
      ],
    })),
    empty,
  });
}

function what(job: Job): Content {
  if (job.render === undefined) return html`<span class="none">batch</span>`;
  return html`<span class="prompt" dir="auto">${excerpt(job.render.prompt, promptCharacters)}</span> <small>${job.render.model}</small>`;
}

function took({ createTime, endTime }: Job): Content {
  if (createTime === undefined || endTime === undefined) return html`<span class="none">–</span>`;
  return duration(endTime.getTime() - createTime.getTime());
}

/** "3 of 10 done, 1 failed": how many succeeded, and what else there is; of one render just "1". */
export function renderCounts(counts: RenderCounts | undefined): Content {
  if (counts === undefined) return html`<span class="none">–</span>`;
  if (counts.total === 1) return "1";
  const others = (["failed", "cancelled"] as const).filter((name) => counts[name] > 0);
  return html`${counts.succeeded} of ${counts.total} done${others.map((name) => html`<small>, ${counts[name]} ${name}</small>`)}`;
}
