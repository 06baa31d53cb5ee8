/**
 * The dead letters of a job: what failed for good, each try of it, and the last lines of its runtime.
 */
import type { FailedAttempt, FailedTask } from "../../gen/proto/vapfarm/v1/operator.ts";
import { type Html, html } from "../../platform/html.ts";
import { linkTo, type Visit } from "./page.ts";
import { command, fragment, section, table } from "./parts.ts";
import { counted, timeOf } from "./words.ts";

const shown = 5;

/** The newest of them. */
export async function failuresPart({ reader, root }: Visit, jobId: string): Promise<Html> {
  const { failures, nextPageToken } = await reader.failures({ jobId, pageSize: shown });
  const more = nextPageToken !== "" && html`<p>There are more: <code data-copy>vapfarm failures --job ${jobId}</code></p>`;
  const empty = failures.length === 0 && html`<p class="empty">No failed task of it is kept any more.</p>`;
  return fragment(
    "failures",
    section("failures-title", "Failed tasks", html`${failures.map((each) => failurePart(each, root))}${empty}${more}`),
  );
}

function failurePart(failure: FailedTask, root: string): Html {
  const { taskId, stage, code, message, remedy, renders, renderCount, attempts } = failure;
  const links = renders.map(
    ({ jobId, position }) =>
      html`<a href="${linkTo(root, ["jobs", jobId, "renders", position])}">#${position} of ${jobId.slice(0, 8)}</a> `,
  );
  return html`<article class="card">
    <h3>${stage} <small>task ${taskId}</small></h3>
    <p><strong>${code}</strong>: <span dir="auto">${message}</span></p>
    ${remedy !== "" && html`<p>What to do: ${remedy}.</p>`}
    <p>It took ${counted(renderCount, "render")}: ${links}</p>
    ${attemptsTable(attempts)} ${attempts.map(tailPart)}
    <ul class="commands">
      ${command(`vapfarm failures retry ${taskId}`)}
    </ul>
  </article>`;
}

function attemptsTable(attempts: readonly FailedAttempt[]): Html {
  return table({
    caption: "Attempts",
    columns: [
      { title: "No.", isNumber: true, isRowHead: true },
      { title: "Worker" },
      { title: "Outcome" },
      { title: "Code" },
      { title: "Message" },
      { title: "Ended (UTC)" },
    ],
    rows: attempts.map(({ number, workerName, outcome, code, message, endTime }) => ({
      cells: [
        number,
        workerName,
        outcome,
        code === "" ? "" : html`<code>${code}</code>`,
        html`<span class="wrap" dir="auto">${message}</span>`,
        timeOf(endTime),
      ],
    })),
    empty: "Its attempts are not kept any more.",
  });
}

function tailPart({ number, workerName, logTail }: FailedAttempt): Html | false {
  if (logTail === undefined) return false;
  return html`<details>
    <summary>Last lines of attempt ${number} on ${workerName}</summary>
    <pre class="log" tabindex="0" dir="auto">${logTail}</pre>
  </details>`;
}
