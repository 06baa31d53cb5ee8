/**
 * The models that renders can name, with what a render gets that leaves a setting out.
 */
import type { Model } from "../../gen/proto/vapfarm/v1/operator.ts";
import { type Html, html } from "../../platform/html.ts";
import type { Page, Visit } from "./page.ts";
import { badge, facts, table } from "./parts.ts";
import { byteSize } from "./words.ts";

/** `/models` */
export async function modelsPage({ reader }: Visit): Promise<Page> {
  const models = await reader.models();
  const cards = models.length === 0 ? html`<p class="empty">The farm's repository has no model.</p>` : models.map(card);
  return {
    title: "Models",
    section: "models",
    body: html`<h1>Models</h1>
      ${cards}`,
  };
}

function card(model: Model): Html {
  const { defaults } = model;
  const isRandom = model.weights === "random";
  return html`<article class="card">
    <h2>${model.name} <small>version ${model.version}</small> ${isRandom && badge("random weights")}</h2>
    ${isRandom && html`<p>The weights are random: its output is noise by design.</p>`}
    ${facts([
      ["Variant", model.variant],
      ["Size", `${model.width} × ${model.height}, ${model.frames} frames at ${model.fps} per second`],
      ["References", model.maxReferences === 1 ? "exactly 1" : `1 to ${model.maxReferences}`],
      ["Pool", model.pool],
      ["Workers that hold it", model.workers],
      ["Steps", defaults?.steps],
      ["Guidance", defaults !== undefined && `${defaults.guidanceScale}${defaults.dynamicGuidance ? ", dynamic" : ""}`],
      ["Scheduler", defaults !== undefined && `${defaults.scheduler} (of ${model.schedulers.join(", ")})`],
      [
        "Negative prompt",
        defaults !== undefined && defaults.negativePrompt !== "" && html`<span class="wrap" dir="auto">${defaults.negativePrompt}</span>`,
      ],
    ])}
    ${engines(model)}
  </article>`;
}

function engines(model: Model): Html {
  return table({
    caption: `Engines of ${model.name}`,
    columns: [
      { title: "Engine", isRowHead: true },
      { title: "Stage" },
      { title: "Precision" },
      { title: "Memory", isNumber: true },
      { title: "Digest" },
    ],
    rows: model.engines.map(({ name, stage, precision, memoryBytes, digest }) => ({
      cells: [name, stage, precision, byteSize(memoryBytes), html`<code class="hash wrap">${digest}</code>`],
    })),
    empty: "No engine.",
  });
}
