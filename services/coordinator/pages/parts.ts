/**
 * Pieces that several pages are built from.
 */
import type { JobFailure } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { StageWarning } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { Hold } from "../../gen/proto/vapfarm/v1/operator.ts";
import { holdScopeWord } from "../../platform/words.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { ageOf } from "./words.ts";

/** A state as a coloured label that also says it in words. */
export function badge(word: string): Html {
  return html`<span class="badge ${word.replaceAll(" ", "-")}">${word}</span>`;
}

/** One column of a table. */
export type Column = {
  readonly title: string;
  /** Numbers line up at the right. */
  readonly isNumber?: boolean;
  /** The column that names the row. */
  readonly isRowHead?: boolean;
};

/** One row: its cells, and what the script calls it. */
export type Row = { readonly cells: readonly Content[]; readonly key?: string };

/** What a table shows. */
export type Table = {
  /** Names the table for those who do not see what is around it. */
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Said where there are no rows. */
  readonly empty: string;
};

/** A table that scrolls by itself where the window is narrow. */
export function table({ caption, columns, rows, empty }: Table): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const heads = columns.map(({ title, isNumber }) => html`<th scope="col" ${isNumber === true && html` class="number"`}>${title}</th>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption} (table)">
    <table>
      <caption class="hidden-text">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${heads}
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => tableRow(row, columns))}
      </tbody>
    </table>
  </div>`;
}

function tableRow({ cells, key }: Row, columns: readonly Column[]): Html {
  const shown = cells.map((cell, index) => {
    const column = columns[index];
    const className = column?.isNumber === true && html` class="number"`;
    return column?.isRowHead === true ? html`<th scope="row" ${className}>${cell}</th>` : html`<td${className}>${cell}</td>`;
  });
  return html`<tr${key !== undefined && html` data-key="${key}"`}>${shown}</tr>\n`;
}

/** Names and values; those without a value are left out. */
export function facts(pairs: readonly (readonly [name: string, value: Content])[]): Html {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== "" && value !== false);
  return html`<dl class="facts">
    ${shown.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** A part of the page that the script replaces when it has changed; by default it compares the markup, else the version. */
export function fragment(id: string, content: Content, version?: string): Html {
  return html`<div id="${id}" data-fragment${version !== undefined && html`="${version}"`}>${content}</div>`;
}

/** A part of the page under a heading of its own. */
export function section(id: string, title: string, content: Content): Html {
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${content}
  </section>`;
}

/** Where this page is. */
export function breadcrumbs(steps: readonly (readonly [name: string, link: string])[], current: string): Html {
  const links = steps.map(([name, link]) => html`<li><a href="${link}">${name}</a></li>`);
  return html`<nav class="crumbs" aria-label="Breadcrumb">
    <ol>
      ${links}
      <li aria-current="page">${current}</li>
    </ol>
  </nav>`;
}

/** Done of all, as a bar and in words. */
export function progress({ step, steps, label }: { readonly step: number; readonly steps: number; readonly label: string }): Html {
  return html`<progress max="${steps}" value="${Math.min(step, steps)}" aria-label="${label}"></progress>
    <span class="count">${step}/${steps}</span>`;
}

/** Why something failed and what to do. */
export function failureNote(failure: JobFailure): Html {
  return html`<div class="note bad">
    <p><strong>${failure.code}</strong>${failure.stage !== "" && html` in ${failure.stage}`}: <span dir="auto">${failure.message}</span></p>
    ${failure.remedy !== "" && html`<p>What to do: ${failure.remedy}.</p>`}
  </div>`;
}

/** Who holds what since when and why. */
export function holdNotes(holds: readonly Hold[], now: Date): Html {
  return html`${holds.map((hold) => {
    const what = `${holdScopeWord(hold.scope)}${hold.name === "" ? "" : ` ${hold.name}`}`;
    return html`<div class="note warn">
      <p>
        <strong>${hold.byBudget ? "Stopped by its budget" : "Held"}: ${what}.</strong> Nothing new is started.
        <span dir="auto">${hold.reason === "" ? "No reason given." : hold.reason}</span>
      </p>
      <p class="fine">By ${hold.byBudget ? "its budget" : hold.placedBy}, ${ageOf(hold.placeTime, now)}.</p>
    </div>`;
  })}`;
}

/** A command of the CLI, to copy. */
export function command(text: string): Html {
  return html`<li><code data-copy>${text}</code></li>`;
}

/** A UUID by its first part, whole on hover. */
export function shortId(id: string): Html {
  return html`<code title="${id}">${id.length > 13 ? id.slice(0, 8) : id}</code>`;
}

/** What the visitor should know of the result. */
export function warningNotes(warnings: readonly StageWarning[], modelWeights: string): Html {
  const random =
    modelWeights === "random" &&
    html`<div class="note warn">
      <p><strong>Random weights.</strong> The model was never trained: its output is noise by design.</p>
    </div>`;
  const notes = warnings.map(
    ({ code, message }) =>
      html`<div class="note warn">
        <p><strong>${code}</strong>: <span dir="auto">${message}</span></p>
      </div>`,
  );
  return html`${random}${notes}`;
}
