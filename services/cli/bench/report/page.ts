/**
 * A report as one page that needs nothing else: no request leaves it, clips and pictures are in it, and it opens from a disk.
 *
 * Pure. Everything that a client wrote goes through html.ts. The page's policy forbids whatever is not in it, and lets run only the script
 * whose hash it names, so that even a mistake in escaping could run nothing.
 */
import { createHash } from "node:crypto";
import { Html, html } from "../../../platform/html.ts";
import { numberText } from "../set-score-table.ts";
import { valueOf } from "./clip-rows.ts";
import type { ComparisonFacts, FinalFacts, ReportModel, RunFacts } from "./model.ts";
import { clipCards, type ClipMedia } from "./page-clips.ts";
import { pageScript } from "./page-script.ts";
import { pageStyle } from "./page-style.ts";
import { clipTableHtml, comparisonTableHtml, failuresHtml, metricsTableHtml, paperTableHtml } from "./page-tables.ts";
import { bars, forest, histogram, scatter } from "./plots.ts";
import { signedText } from "./text.ts";

type Section = { readonly id: string; readonly title: string; readonly content: Html };

/** The page's text. */
export function reportPage(report: ReportModel, media: ReadonlyMap<number, ClipMedia>): string {
  const { run } = report;
  const name = run.label === "" ? `${run.suiteName} on ${run.model}` : run.label;
  const sections = sectionsOf(report, media);
  const page = html`<!doctype html>
    <html lang="en">
      ${head(name)}
      <body>
        ${header(report, name, sections)}
        <main>
          ${sections.map(
            ({ id, title, content }) =>
              html`<section>
                <h2 id="${id}">${title}</h2>
                ${content}
              </section>`,
          )}
        </main>
        <footer>
          Scores are on VBench's scales: dynamic degree of a clip is 0 or 1, imaging quality of a clip 0 to 100 and of a set 0 to 1. Seconds
          are computing, loading apart; a task that several renders share counts with each.
        </footer>
        ${verbatim("script", pageScript)}
      </body>
    </html>`;
  return `${page.toString()}\n`;
}

/** An element of a text of our own: nothing of it is escaped, and nothing is put around it, since its hash is told. */
function verbatim(element: "script" | "style", text: string): Html {
  return Html.join([`<${element}>${text}</${element}>`], []);
}

function head(name: string): Html {
  const hash = createHash("sha256").update(pageScript).digest("base64");
  const policy = [
    ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:", "media-src data:"],
    ["style-src 'unsafe-inline'", `script-src 'sha256-${hash}'`],
  ];
  return html`<head>
    <meta charset="utf-8" />
    <meta http-equiv="Content-Security-Policy" content="${policy.flat().join("; ")}" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="referrer" content="no-referrer" />
    <title>${name} – benchmark report</title>
    <link rel="icon" href="data:," />
    ${verbatim("style", pageStyle)}
  </head>`;
}

function header({ run, warnings }: ReportModel, name: string, sections: readonly Section[]): Html {
  return html`<header>
    <h1>${name}</h1>
    <p class="facts">benchmark run ${run.runId}</p>
    ${warningList(warnings)} ${runFacts(run)}
    <nav aria-label="Parts of this page">
      <ul>
        ${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}
      </ul>
    </nav>
  </header>`;
}

function warningList(warnings: readonly string[]): Html {
  const items = warnings.map((text) => html`<li>${text}</li>`);
  return html`${
    items.length > 0 &&
    html`<ul class="warnings">
      ${items}
    </ul>`
  }`;
}

function runFacts(run: RunFacts): Html {
  const facts: readonly (readonly [string, string])[] = [
    ["suite", `${run.suiteName} (${run.suiteId.slice(0, 12)})`],
    ["model", `${run.model}, ${run.hasTrainedWeights ? "trained" : "random"} weights`],
    ["metric networks", run.metricsModel === "" ? "none" : `${run.metricsModel}, ${run.hasTrainedMetrics ? "trained" : "random"} weights`],
    ["renders", `${run.succeeded} of ${run.renders} succeeded${run.failed > 0 ? `, ${run.failed} failed` : ""}`],
    ["scores", `${run.endedScores} of ${run.scores}`],
    ["steps, guidance", `${run.steps}, ${run.guidanceScale}`],
    ["seeds per row", String(run.seeds)],
    ["reuse", run.reuse],
    ["state", run.state],
    ["started", timeText(run.createTime)],
    ["ended", timeText(run.endTime)],
  ];
  return html`<dl class="run-facts">
    ${facts.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** "2026-03-01 08:00 UTC": a page is read anywhere. */
function timeText(iso: string | undefined): string {
  return iso === undefined ? "–" : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

function sectionsOf(report: ReportModel, media: ReadonlyMap<number, ClipMedia>): readonly Section[] {
  const { metrics, finalScores, comparison, preference, stages, clips } = report;
  const hasTimes = clips.some(({ renderSeconds }) => renderSeconds !== undefined);
  const isMeasured = metrics.length > 0;
  const sections: readonly (Section | false)[] = [
    { id: "paper", title: "The paper's table, in per cent", content: paperTableHtml(report) },
    isMeasured && {
      id: "metrics",
      title: "All metrics",
      content: html`${metricsTableHtml(report)}${finalScores !== undefined && totalsHtml(finalScores)}`,
    },
    preference !== undefined && { id: "votes", title: `Votes: ${preference.name}`, content: votesHtml(preference) },
    comparison !== undefined && { id: "comparison", title: `Against ${comparison.against.name}`, content: comparisonHtml(comparison) },
    isMeasured && { id: "distributions", title: "Distributions", content: distributionsHtml(report) },
    stages.length > 0 && { id: "stages", title: "Seconds per stage", content: stagesHtml(report) },
    isMeasured && hasTimes && { id: "time", title: "Scores against time", content: timesHtml(report) },
    { id: "clips", title: "Every clip", content: clipTableHtml(report, new Set(media.keys())) },
    clips.some(({ failure }) => failure !== undefined) && { id: "failures", title: "Renders that failed", content: failuresHtml(report) },
    media.size > 0 && { id: "watch", title: "Clips to watch", content: clipCards(report, media) },
  ];
  return sections.filter((section) => section !== false);
}

function totalsHtml({ quality, semantic, total, missing }: FinalFacts): Html {
  const values: readonly (readonly [string, number])[] = [
    ["Quality", quality],
    ["Semantic", semantic],
    ["Total", total],
  ];
  const warning = `These are not VBench's totals: ${missing.length} dimensions were not measured and count as 0 (${missing.join(", ")}).`;
  return html`<dl class="totals">
      ${values.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${numberText(value, 4)}</dd>
          </div>`,
      )}
    </dl>
    ${missing.length > 0 && html`<p class="note">${warning}</p>`}`;
}

function votesHtml({ shares, votes, voters }: NonNullable<ReportModel["preference"]>): Html {
  const rows = shares.map(({ method, percent, selections }) => ({
    name: method,
    value: percent,
    part: 0,
    said: `${percent.toFixed(1)} %, ${selections} selections`,
  }));
  return html`<div class="wide" role="region" aria-label="Shares of votes" tabindex="0">${bars(rows, "Shares of all selections")}</div>
    <p class="notes">${votes} votes of ${voters} people</p>`;
}

function comparisonHtml(comparison: ComparisonFacts): Html {
  const { warnings, metrics, pairedClips, unpairedOurs, unpairedTheirs } = comparison;
  const drawn = metrics.flatMap(({ title, difference, low, high }) =>
    difference === undefined || low === undefined || high === undefined
      ? []
      : [{ name: title, value: difference, low, high, said: `${signedText(difference)}, 95 % ${signedText(low)} to ${signedText(high)}` }],
  );
  const alone = unpairedOurs + unpairedTheirs === 0 ? "" : ` ${unpairedOurs} clips here and ${unpairedTheirs} there have no partner.`;
  return html`${warningList(warnings)}
    <p>${pairedClips} clips of the same row and seed on both sides.${alone} A difference is this run less the other.</p>
    ${comparisonTableHtml(comparison)}
    ${
      drawn.length > 0 &&
      html`<figure>
        <figcaption>
          Differences with 95 % intervals <span class="facts">right of the line: this run is higher; each line has its own scale</span>
        </figcaption>
        <div class="wide" role="region" aria-label="Differences, drawn" tabindex="0">
          ${forest(drawn, "Paired differences with intervals")}
        </div>
      </figure>`
    }
    ${dropsHtml(comparison)}`;
}

function dropsHtml({ drops }: ComparisonFacts): Html {
  const lines = drops.map(
    ({ title, clips }) => html`<li>${title}: ${clips.map(({ name, difference }) => `${name} ${signedText(difference)}`).join(", ")}</li>`,
  );
  return html`${
    lines.length > 0 &&
    html`<details>
      <summary>Largest drops of each metric</summary>
      <ul>
        ${lines}
      </ul>
    </details>`
  }`;
}

function distributionsHtml({ metrics, clips }: ReportModel): Html {
  const figures = metrics.map(({ metric, title, count, missing }) => {
    const values = clips.flatMap((clip) => valueOf(clip, metric) ?? []);
    const facts = `${count} clips${missing > 0 ? `, ${missing} missing` : ""}`;
    return html`<figure>
      <figcaption>${title} <span class="facts">${facts}</span></figcaption>
      ${histogram(values, title)}
    </figure>`;
  });
  return html`<div class="plots">${figures}</div>`;
}

function stagesHtml({ stages }: ReportModel): Html {
  const rows = stages.map(({ stage, meanSeconds, loadSeconds, computed, reused, totalSeconds }) => ({
    name: stage,
    value: meanSeconds,
    part: computed === 0 ? 0 : loadSeconds / computed,
    said:
      computed === 0
        ? `${reused} reused`
        : `${meanSeconds.toFixed(2)} s × ${computed} = ${totalSeconds.toFixed(1)} s${reused > 0 ? `, ${reused} reused` : ""}`,
  }));
  return html`<figure>
    <figcaption>Mean seconds of a task <span class="facts">blue: computing; grey: loading</span></figcaption>
    <div class="wide" role="region" aria-label="Seconds per stage" tabindex="0">${bars(rows, "Mean seconds of a task per stage")}</div>
  </figure>`;
}

function timesHtml({ metrics, clips }: ReportModel): Html {
  const figures = metrics.map(({ metric, title }) => {
    const points = clips.flatMap((clip) => {
      const y = valueOf(clip, metric);
      return y === undefined || clip.renderSeconds === undefined ? [] : [{ x: clip.renderSeconds, y, name: clip.name }];
    });
    return html`<figure>
      <figcaption>${title}</figcaption>
      ${scatter(points, title)}
    </figure>`;
  });
  return html`<p>
      Each point is a clip: its score over the seconds that its render computed itself, without loading, scoring and what was reused.
    </p>
    <div class="plots">${figures}</div>`;
}
