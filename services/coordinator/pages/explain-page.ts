/**
 * Why a job's tasks wait: every constraint that binds them, with what can be done.
 */
import type { Constraint, TaskExplanation } from "../../gen/proto/vapfarm/v1/operator.ts";
import { constraintWord, jobStateWord } from "../../platform/words.ts";
import { type Html, html } from "../../platform/html.ts";
import { linkTo, type Page, positionOf, type Visit } from "./page.ts";
import { badge, breadcrumbs, command, fragment, section, table } from "./parts.ts";
import { counted } from "./words.ts";

const refreshMs = 3_000;

/** `/jobs/{id}/explain`, for one render with `?render=n` */
export async function explainPage({ reader, root, segments, query }: Visit): Promise<Page> {
  const jobId = segments[1] ?? "";
  const asked = query.get("render");
  const position = asked === null || asked === "" ? undefined : positionOf(asked);
  const { state, summary, tasks, openTasks, waitingRenders } = await reader.explain(jobId, position);
  const title = `Why job ${jobId.slice(0, 8)} waits`;
  const left = openTasks - tasks.length;
  const content = html`<p class="lead">${badge(jobStateWord(state))} <span dir="auto">${summary}</span></p>
    ${constraintList(waitingRenders.flatMap(({ constraint }) => constraint ?? []))} ${explanationTable(tasks, { jobId, root })}
    ${left > 0 && html`<p class="fine">${counted(left, "more open task")} not shown.</p>`}`;
  const steps = [["Jobs", linkTo(root, ["jobs"])] as const, [jobId, linkTo(root, ["jobs", jobId])] as const];
  const body = html`${breadcrumbs(steps, "Explain")}
    <h1>${title}</h1>
    ${fragment("explain", content)}
    ${section(
      "commands-title",
      "On the command line",
      html`<ul class="commands">
        ${command(`vapfarm explain ${jobId}`)}
      </ul>`,
    )}`;
  return { title, section: "jobs", body, live: { everyMs: refreshMs } };
}

function constraintList(constraints: readonly Constraint[]): Html | false {
  if (constraints.length === 0) return false;
  return html`<ul class="constraints">
    ${constraints.map(
      ({ kind, message, remedy }) =>
        html`<li>
          <strong>${constraintWord(kind)}</strong>:
          <span dir="auto">${message}</span>${remedy !== "" && html`<br /><span class="remedy">What to do: ${remedy}</span>`}
        </li>`,
    )}
  </ul>`;
}

type Place = { readonly jobId: string; readonly root: string };

function explanationTable(tasks: readonly TaskExplanation[], { jobId, root }: Place): Html {
  return table({
    caption: "Open tasks and what keeps them",
    columns: [{ title: "Stage", isRowHead: true }, { title: "Render" }, { title: "Pool" }, { title: "What keeps it" }],
    rows: tasks.map((task) => ({
      key: `task-${task.taskId}`,
      cells: [
        html`${task.stage}${task.label !== "" && html` <small>${task.label}</small>`}`,
        html`<a href="${linkTo(root, ["jobs", jobId, "renders", task.renderPosition])}">#${task.renderPosition}</a>`,
        task.pool,
        constraintList(task.constraints),
      ],
    })),
    empty: "No task of it is open.",
  });
}
