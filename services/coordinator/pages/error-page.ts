/**
 * Failures as pages: what happened, its code, what to do.
 */
import type { FarmError } from "../../domain/errors.ts";
import { html } from "../../platform/html.ts";
import type { Page } from "./page.ts";

/** A failure as a page; unexpected ones keep their text to themselves. */
export function errorPage(error: FarmError): Page {
  const isOurs = error.row.status === "INTERNAL";
  const fields = error.details.fields ?? [];
  const body = html`<h1>${error.code === "ROUTE_UNKNOWN" ? "There is no such page" : "This page cannot be shown"}</h1>
    <div class="note bad">
      <p><strong>${error.code}</strong>: <span dir="auto">${isOurs ? error.row.message : error.message}</span></p>
      ${fields.map(({ field, reason, remedy }) => html`<p><code>${field}</code>: ${reason}; ${remedy}</p>`)}
    </div>
    <p>What to do: ${remedyOf(error)}.</p>`;
  return { title: "Error", section: undefined, body };
}

function remedyOf(error: FarmError): string {
  return error.code === "ROUTE_UNKNOWN" ? "start from the farm's overview" : error.row.remedy;
}
