/**
 * The clips of a page: each plays beside its contact sheet, its texts and its scores.
 */
import { type Html, html } from "../../../platform/html.ts";
import { metricTitle } from "../metric-words.ts";
import { numberText } from "../set-score-table.ts";
import type { ClipRow } from "./clip-rows.ts";
import { whyMissing } from "./metric-summary.ts";
import type { ReportModel } from "./model.ts";

/** data: URIs of a clip, or why there are none. */
export type ClipMedia = { readonly mp4?: string; readonly sheet?: string; readonly note?: string };

/** Where a clip's card is. */
export function clipAnchor(clip: Pick<ClipRow, "renderPosition">): string {
  return `clip-${clip.renderPosition}`;
}

/** Cards of the clips that have media, in the order of the run. */
export function clipCards(report: ReportModel, media: ReadonlyMap<number, ClipMedia>): Html {
  const shown = report.clips.filter(({ renderPosition }) => media.has(renderPosition));
  const why = whyListed(report);
  return html`<div class="cards">
    ${shown.map((clip) => card(clip, { report, media: media.get(clip.renderPosition) ?? {}, why: why.get(clip.renderPosition) ?? [] }))}
  </div>`;
}

/** Render position → of which metrics it is among the worst. */
function whyListed({ worst, comparison }: ReportModel): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, readonly string[]>();
  const note = (renderPosition: number, text: string): void => void found.set(renderPosition, [...(found.get(renderPosition) ?? []), text]);
  for (const { title, clips } of worst) for (const { renderPosition } of clips) note(renderPosition, `low ${title}`);
  for (const { title, clips } of comparison?.drops ?? []) for (const { renderPosition } of clips) note(renderPosition, `lost ${title}`);
  return found;
}

type Shown = { readonly report: ReportModel; readonly media: ClipMedia; readonly why: readonly string[] };

function card(clip: ClipRow, { report, media, why }: Shown): Html {
  const { mp4, sheet, note } = media;
  return html`<article class="card" id="${clipAnchor(clip)}" aria-labelledby="${clipAnchor(clip)}-name">
    <h3 id="${clipAnchor(clip)}-name">${clip.name}</h3>
    <p class="facts">${clip.kind === "" ? "" : `${clip.kind}, `}seed ${clip.seed}</p>
    ${why.length > 0 && html`<p class="tags">${why.map((text) => html`<span class="tag">${text}</span> `)}</p>`}
    ${mp4 !== undefined && html`<video controls loop muted playsinline preload="auto" src="${mp4}" aria-label="result of ${clip.name}"></video>`}
    ${
      sheet !== undefined &&
      html`<details>
        <summary>Contact sheet: references, target, result</summary>
        <img alt="contact sheet of ${clip.name}: frames of the references, the target and the result, time going down" src="${sheet}" />
      </details>`
    }
    ${note !== undefined && html`<p class="note">${note}</p>`}
    <dl class="texts">
      <dt>target</dt>
      <dd dir="auto">${clip.caption}</dd>
      ${clip.referenceCaptions.map(
        (caption, index) =>
          html`<dt>reference${clip.referenceCaptions.length > 1 && ` ${index + 1}`}</dt>
            <dd dir="auto">${caption}</dd>`,
      )}
    </dl>
    <details>
      <summary>Scores</summary>
      <dl class="scores">
        ${report.metrics.map(({ metric }) => {
          const value = clip.scores[metric]?.value;
          return html`<dt>${metricTitle(metric)}</dt>
            <dd>${value === undefined ? missingText(clip, metric) : numberText(value, 4)}</dd>`;
        })}
      </dl>
    </details>
  </article>`;
}

function missingText(clip: ClipRow, metric: Parameters<typeof whyMissing>[1]): string {
  const { status, reason } = whyMissing(clip, metric);
  return `– ${status}: ${reason}`;
}
