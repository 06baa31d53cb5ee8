/**
 * The tables of a page. Each may be wider than the screen and then scrolls by itself, also by keyboard.
 */
import { type Content, type Html, html } from "../../../platform/html.ts";
import { metricTitle } from "../metric-words.ts";
import { doAggregatorsDiffer, numberText } from "../set-score-table.ts";
import type { ClipRow } from "./clip-rows.ts";
import { whyMissing } from "./metric-summary.ts";
import type { ComparisonFacts, ReportModel } from "./model.ts";
import { clipAnchor } from "./page-clips.ts";
import { label } from "./plots.ts";
import { signedText } from "./text.ts";

/** A table in a part of its own that scrolls. */
function scrolling(name: string, content: Content): Html {
  return html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">${content}</div>`;
}

const number = (value: number | undefined, decimals: number): Html => html`<td class="number">${numberText(value, decimals)}</td>`;

/** The paper's six columns. */
export function paperTableHtml({ paperTable }: ReportModel): Html {
  const { columns, rows, notes } = paperTable;
  return html`${scrolling(
      "The paper's table",
      html`<table>
        <thead>
          <tr>
            <th scope="col">Method</th>
            ${columns.map((title) => html`<th scope="col" class="number">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ({ method, isOurs, values }) =>
              html`<tr class="${isOurs ? "ours" : "published"}">
                <th scope="row">${method}</th>
                ${values.map((value) => number(value ?? undefined, 2))}
              </tr>`,
          )}
        </tbody>
      </table>`,
    )}
    <ul class="notes">
      ${notes.map((note) => html`<li>${note}</li>`)}
    </ul>`;
}

/** Every metric, with what is missing and why. */
export function metricsTableHtml({ metrics }: ReportModel): Html {
  const rows = metrics.map((metric) => {
    const { title, variant, value, interval, count, missing, reasons, videoMean, frameWeighted, aggregator } = metric;
    const other = doAggregatorsDiffer({ ...metric, videoMean, frameWeighted, vbench: aggregator }) ? otherText(metric) : "";
    const why = reasons.map(({ status, reason, count: many }) => html`<li>${many} ${status}: ${reason}</li>`);
    return html`<tr>
      <th scope="row">${title}${variant !== "" && html` <span class="facts">${variant}</span>`}</th>
      ${number(value, 5)}
      <td class="number">${interval !== undefined && `${numberText(interval.low, 4)} – ${numberText(interval.high, 4)}`}</td>
      <td class="number">${other}</td>
      <td class="number">${count}</td>
      <td>
        ${
          missing > 0 &&
          html`<details>
            <summary>${missing}</summary>
            <ul>
              ${why}
            </ul>
          </details>`
        }
      </td>
    </tr>`;
  });
  return scrolling(
    "All metrics",
    html`<table>
      <thead>
        <tr>
          <th scope="col">Metric</th>
          <th scope="col" class="number">Value</th>
          <th scope="col" class="number">95 % of the mean</th>
          <th scope="col" class="number">Other aggregate</th>
          <th scope="col" class="number">Clips</th>
          <th scope="col">Missing</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

function otherText({ aggregator, videoMean, frameWeighted }: ReportModel["metrics"][number]): string {
  return aggregator === "video_mean" ? `${numberText(frameWeighted)} by frames` : `${numberText(videoMean)} by clips`;
}

/** Paired differences. */
export function comparisonTableHtml({ metrics }: ComparisonFacts): Html {
  const rows = metrics.map(
    ({ title, ours, theirs, difference, low, high, pairs, reason }) =>
      html`<tr>
        <th scope="row">${title}</th>
        ${number(ours, 5)}${number(theirs, 5)}
        <td class="number">${signedText(difference)}</td>
        <td class="number">${low !== undefined && `${signedText(low)} to ${signedText(high)}`}</td>
        <td class="number">${pairs}</td>
        <td>${reason}</td>
      </tr>`,
  );
  return scrolling(
    "Paired differences",
    html`<table>
      <thead>
        <tr>
          <th scope="col">Metric</th>
          <th scope="col" class="number">This run</th>
          <th scope="col" class="number">Other</th>
          <th scope="col" class="number">Difference</th>
          <th scope="col" class="number">95 %</th>
          <th scope="col" class="number">Pairs</th>
          <th scope="col">Remark</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

type Metric = ReportModel["metrics"][number]["metric"];

/** Every clip with every metric; its headers sort it. */
export function clipTableHtml({ clips, metrics }: ReportModel, linked: ReadonlySet<number>): Html {
  const heads = [
    sortHead("Clip", "text"),
    sortHead("Kind", "text"),
    sortHead("State", "text"),
    ...metrics.map(({ title }) => sortHead(title, "number")),
    sortHead("Seconds", "number"),
  ];
  const rows = clips.map((clip) => {
    const cells = metrics.map(({ metric }) => scoreCell(clip, metric));
    const name = linked.has(clip.renderPosition) ? html`<a href="#${clipAnchor(clip)}">${clip.name}</a>` : clip.name;
    return html`<tr>
      <th scope="row" data-sort="${clip.name}">${name}</th>
      <td data-sort="${clip.kind}">${clip.kind}</td>
      <td data-sort="${clip.state}"><span class="state ${stateClass(clip.state)}">${clip.state}</span></td>
      ${cells}
      <td class="number" data-sort="${clip.renderSeconds ?? ""}">${clip.renderSeconds === undefined ? "–" : label(clip.renderSeconds)}</td>
    </tr>`;
  });
  return scrolling(
    "Clips and their scores",
    html`<table class="sortable">
      <caption class="hidden">
        Every clip; the buttons in the header sort
      </caption>
      <thead>
        <tr>
          ${heads}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

function sortHead(title: string, how: "text" | "number"): Html {
  return html`<th scope="col" class="${how}" data-how="${how}"><button type="button">${title}</button></th>`;
}

function scoreCell(clip: ClipRow, metric: Metric): Html {
  const value = clip.scores[metric]?.value;
  if (value !== undefined) return html`<td class="number" data-sort="${value}">${numberText(value, decimalsOf(metric))}</td>`;
  const { status, reason } = whyMissing(clip, metric);
  return html`<td class="number missing" data-sort="" title="${metricTitle(metric)}: ${status}: ${reason}">${status}</td>`;
}

function decimalsOf(metric: Metric): number {
  if (metric === "dynamic_degree") return 0;
  return metric === "imaging_quality" ? 2 : 4;
}

function stateClass(state: string): string {
  return ["succeeded", "failed", "cancelled"].includes(state) ? state : "open";
}

/** Renders that failed, and why. */
export function failuresHtml({ clips }: ReportModel): Html {
  const failed = clips.filter(({ failure }) => failure !== undefined);
  return html`<ul class="failures">
    ${failed.map(({ name, failure }) => html`<li><strong>${name}</strong> ${failure?.stage}: <code>${failure?.code}</code> ${failure?.message}</li>`)}
  </ul>`;
}
