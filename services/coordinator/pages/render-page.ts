/**
 * One render: its result beside what it was made from, prompts and settings, stages with their times, artifacts.
 */
import type { Job, Render, RenderSpec } from "../../gen/proto/vapfarm/v1/farm.ts";
import { frameSelectionWord, hasEnded, jobStateWord, outputWord, schedulerWord } from "../../platform/words.ts";
import { type Html, html } from "../../platform/html.ts";
import { liveOf } from "./live.ts";
import { artifactTable, linkArtifacts, mediaPart } from "./media-part.ts";
import { linkTo, type Page, positionOf, type Visit } from "./page.ts";
import { badge, breadcrumbs, command, facts, failureNote, fragment, section, warningNotes } from "./parts.ts";
import { runningById, stagesPart } from "./task-table.ts";
import { duration, timeOf } from "./words.ts";

/** `/jobs/{id}/renders/{n}` */
export async function renderPage(visit: Visit): Promise<Page> {
  const { reader, root, segments } = visit;
  const jobId = segments[1] ?? "";
  const position = positionOf(segments[3]);
  const [job, render] = await Promise.all([reader.job(jobId), reader.render(jobId, position)]);
  const address = { jobId, position, root };
  const [workers, results, inputs] = await Promise.all([
    hasEnded(render.state) ? [] : reader.workers(),
    linkArtifacts(reader, render.artifacts, address),
    linkArtifacts(reader, render.inputs, address),
  ]);
  const title = `Render #${position} of job ${jobId.slice(0, 8)}`;
  const version = `${render.state}-${[...render.artifacts, ...render.inputs].map(({ sha256 }) => sha256.slice(0, 12)).join("-")}`;
  const body = html`${breadcrumbs(steps(jobId, root), `Render #${position}`)}
    <h1>${title} ${fragment("state", badge(jobStateWord(render.state)))}</h1>
    ${fragment("notes", html`${render.failure !== undefined && failureNote(render.failure)}${warningNotes(render.warnings, render.modelWeights)}`)}
    ${fragment("media", mediaPart(render.spec, results, inputs), version)}
    ${render.spec !== undefined && section("prompts-title", "Prompts", promptsPart(render.spec))}
    ${fragment("settings", section("settings-title", "Settings", settings(render, job)))}
    ${fragment("stages", section("stages-title", "Stages", stagesPart(render.tasks, runningById(workers))))}
    ${fragment("artifacts", section("artifacts-title", "Artifacts", artifactTable([...results, ...inputs])), version)}
    ${section("commands-title", "On the command line", commands(job, position))}`;
  return { title, section: "jobs", body, ...liveOf(job) };
}

function steps(jobId: string, root: string): readonly (readonly [string, string])[] {
  return [
    ["Jobs", linkTo(root, ["jobs"])],
    [jobId, linkTo(root, ["jobs", jobId])],
  ];
}

function promptsPart(spec: RenderSpec): Html {
  const references = spec.referencePrompts.map((text, index) => prompt(`Reference ${index + 1}`, text));
  const negative = spec.negativePrompt === undefined || spec.negativePrompt === "" ? "" : prompt("Negative", spec.negativePrompt);
  return html`<dl class="prompts">${prompt("Prompt", spec.prompt)}${references}${negative}</dl>`;
}

function prompt(name: string, text: string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd class="prompt long" dir="auto" tabindex="0">${text === "" ? html`<span class="none">empty</span>` : text}</dd>
  </div>`;
}

function settings({ spec, fps, endTime, tasks }: Render, job: Job): Html {
  const computed = tasks.reduce((sum, { computeMs, reused }) => sum + (reused ? 0 : computeMs), 0);
  const reused = tasks.filter((task) => task.reused).length;
  return facts([
    ["Model", spec?.model],
    ["Seed", spec?.seed !== undefined && html`<code>${spec.seed}</code>`],
    ["Steps", spec?.steps],
    ["Guidance", spec?.guidance?.scale !== undefined && `${spec.guidance.scale}${spec.guidance.dynamic === true ? ", dynamic" : ""}`],
    ["Scheduler", spec !== undefined && schedulerWord(spec.scheduler)],
    ["Frames of references", spec !== undefined && frameSelectionWord(spec.frameSelection)],
    ["Size", spec?.width !== undefined && spec.height !== undefined && `${spec.width} × ${spec.height}`],
    ["Length", spec?.frames !== undefined && `${spec.frames} frames${fps > 0 ? ` at ${fps} per second` : ""}`],
    ["Outputs", spec?.outputs.map(outputWord).join(", ")],
    ["Submitted", job.createTime !== undefined && html`${timeOf(job.createTime)} UTC`],
    ["Ended", endTime !== undefined && html`${timeOf(endTime)} UTC`],
    ["Computed", computed > 0 && duration(computed)],
    ["Reused stages", reused > 0 && `${reused} of ${tasks.length}`],
  ]);
}

function commands({ jobId, state }: Job, position: number): Html {
  const lines = [`vapfarm job ${jobId} --render ${position}`];
  if (hasEnded(state)) lines.push(`vapfarm download ${jobId} --render ${position}`, `vapfarm retry ${jobId} --render ${position}`);
  else lines.push(`vapfarm cancel ${jobId} --render ${position}`);
  return html`<ul class="commands">
    ${lines.map(command)}
  </ul>`;
}
