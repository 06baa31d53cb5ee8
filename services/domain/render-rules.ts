/**
 * What is wrong with a submitted render: every violation, not only the first.
 *
 * Pure: models, uploads and the time are arguments. Each rule names field, reason and remedy. Of media only what decoding told of it
 * matters here; where it came from does not: bytes and addresses are decoded, and judged again by their hash, while a request is checked.
 */
import {
  idempotencyKeyRule,
  maxInt64,
  numberRule,
  type RuleViolation,
  textRule,
  timeRule,
  unknownValue,
  violation,
  type Violations,
} from "./field-rules.ts";
import { isSha256 } from "./ids.ts";
import { mediaFormRule } from "./media-source.ts";
import { parseModelReference } from "./model-reference.ts";
import type { JobRequest, MediaSource, ModelFacts, RenderRequest, SubmitRequest } from "./render-request.ts";
import { type KnownMetrics, scoreViolations } from "./score-rules.ts";
import { webhookRule } from "./webhook-rules.ts";

/** What decoding media told. */
export type UploadFacts = { readonly kind: "image" | "video"; readonly frames: number };

/** What a render is judged against. */
export type RuleFacts = {
  readonly models: ReadonlyMap<string, ModelFacts>;
  /** Uploads of the caller's tenant by SHA-256. */
  readonly uploads: ReadonlyMap<string, UploadFacts>;
  /** Absent: there are none. */
  readonly metrics?: KnownMetrics;
  readonly now: Date;
};

/** The longest prompt. */
export const maxTextCharacters = 20_000;
const maxGuidanceScale = 100;

/** Everything that a client must correct; empty when the request can be stored. */
export function violationsOf(request: SubmitRequest, facts: RuleFacts): Violations {
  const { render } = request;
  const found = render === undefined ? undefined : renderViolations(render, facts, "render");
  return submissionViolations(found, jobViolations(request, facts.now));
}

/** What is wrong with a submission of one render, in the order in which it is told; `render`: what is wrong with it, undefined for none. */
export function submissionViolations(render: Violations | undefined, job: Violations): Violations {
  return [...(render ?? [violation("render", "is missing", "name the render to make")]), ...job];
}

/** What is wrong with one render; fields begin with `at`. Bytes and addresses are judged by their form only. */
export function renderViolations(render: RenderRequest, facts: RuleFacts, at: string): Violations {
  const model = facts.models.get(render.model);
  const found = [
    ...modelViolations(render, facts.models),
    ...textViolations(render),
    ...imageViolations(render, facts),
    ...referenceViolations(render, facts),
    ...targetViolations(render, facts),
    ...scoreViolations(render, facts.metrics ?? new Map()),
    ...samplerViolations(render),
    ...choiceViolations(render),
    ...(model === undefined ? [] : [...sizeViolations(render, model), ...ownViolations(render, model)]),
  ];
  return found.map((one) => ({ ...one, field: `${at}.${one.field}` }));
}

/** What is wrong with the form of a request's key and deadline: such a request can be neither looked up nor digested. */
export function formViolationsOf({ idempotencyKey, deadline }: Pick<JobRequest, "idempotencyKey" | "deadline">): Violations {
  return [...idempotencyKeyRule("idempotency_key", idempotencyKey), ...timeRule("deadline", deadline)];
}

/** What is wrong with a job, whatever it renders. */
export function jobViolations(request: JobRequest, now: Date): Violations {
  return [
    ...formViolationsOf(request),
    ...priorityRule(request.priority),
    ...comingRule(request.deadline, now),
    ...(request.jobClass === "unrecognized" ? [unknownValue("job_class")] : []),
    ...(request.reuse === "unrecognized" ? [unknownValue("reuse")] : []),
    ...(request.webhook === undefined ? [] : webhookRule(request.webhook)),
  ];
}

/** A job's priority. */
export function priorityRule(priority: number): Violations {
  return numberRule("priority", { value: priority, min: -100, max: 100 });
}

/** A deadline that has not passed; absent is fine. */
export function comingRule(deadline: Date | undefined, now: Date): Violations {
  if (deadline === undefined || !(deadline.getTime() <= now.getTime())) return [];
  return [violation("deadline", "has passed", "choose a time to come, or none")];
}

function modelViolations(render: RenderRequest, models: RuleFacts["models"]): RuleViolation[] {
  if (models.has(render.model)) return [];
  // Versions are many, and aliases and bare names say the same.
  const known = [...models.keys()]
    .filter((name) => parseModelReference(name)?.kind !== "version")
    .sort()
    .join(", ");
  const reason = render.model === "" ? "is missing" : `"${render.model.slice(0, 80)}" is no model of this farm`;
  return [{ ...violation("model", reason, known === "" ? "add a model to the farm" : `choose one of: ${known}`), code: "MODEL_UNKNOWN" }];
}

function textViolations(render: RenderRequest): Violations {
  const texts: [string, string | undefined][] = [
    ["prompt", render.prompt],
    ["negative_prompt", render.negativePrompt],
    ...render.referencePrompts.map((text, index): [string, string] => [`reference_prompts[${index}]`, text]),
  ];
  return texts.flatMap(([field, text]) => (text === undefined ? [] : textRule(field, text, maxTextCharacters)));
}

function imageViolations(render: RenderRequest, facts: RuleFacts): RuleViolation[] {
  if (render.image === undefined) return [violation("image", "is missing", "name an image by `sha256`, `inline` or `uri`")];
  return mediaViolations("image", render.image, facts);
}

function mediaViolations(field: string, media: MediaSource, facts: RuleFacts): RuleViolation[] {
  const form = mediaFormRule(field, media);
  if (form.length > 0 || !isSha256(media.sha256) || facts.uploads.has(media.sha256)) return [...form];
  return [{ ...violation(field, `no upload ${media.sha256} of this tenant`, "upload the media first"), code: "MEDIA_UNKNOWN" }];
}

function referenceViolations(render: RenderRequest, facts: RuleFacts): RuleViolation[] {
  const model = facts.models.get(render.model);
  const most = model?.maxReferences ?? 3;
  const { references, referencePrompts } = render;
  const found: RuleViolation[] = [];
  if (references.length < 1 || references.length > most) {
    found.push(violation("references", `has ${references.length} references`, most === 1 ? "name exactly 1" : `name 1 to ${most}`));
  }
  if (referencePrompts.length !== references.length) {
    const reason = `has ${referencePrompts.length} prompts for ${references.length} references`;
    found.push(violation("reference_prompts", reason, "give exactly one prompt for each reference"));
  }
  references.forEach((reference, index) => found.push(...clipViolations(`references[${index}]`, reference, { render, model, facts })));
  return found;
}

function targetViolations({ target }: RenderRequest, facts: RuleFacts): Violations {
  if (target === undefined) return [];
  const found = mediaViolations("target", target, facts);
  if (found.length > 0 || facts.uploads.get(target.sha256)?.kind !== "image") return found;
  return [violation("target", "is an image", "a target is a clip: upload a video")];
}

type ClipCase = { readonly render: RenderRequest; readonly model: ModelFacts | undefined; readonly facts: RuleFacts };

function clipViolations(field: string, reference: MediaSource, { render, model, facts }: ClipCase): RuleViolation[] {
  const unknown = mediaViolations(field, reference, facts);
  const upload = facts.uploads.get(reference.sha256);
  if (unknown.length > 0 || upload === undefined) return unknown;
  if (upload.kind === "image") return [violation(field, "is an image", "a reference is a clip: upload a video")];
  const needed = render.frames ?? model?.frames ?? 0;
  if (render.frameSelection !== "first" || upload.frames >= needed) return [];
  const reason = `has ${upload.frames} frames, but \`first\` takes ${needed}`;
  return [{ ...violation(field, reason, "hand in a longer clip, or choose frames evenly"), code: "MEDIA_TOO_SHORT" }];
}

function samplerViolations(render: RenderRequest): RuleViolation[] {
  const { seed, steps } = render;
  const scale = render.guidance?.scale;
  const found: RuleViolation[] = [];
  if (seed !== undefined) found.push(...numberRule("seed", { value: seed, min: 0n, max: maxInt64 }));
  if (steps !== undefined) found.push(...numberRule("steps", { value: steps, min: 1, max: 1000 }));
  if (scale !== undefined && !Number.isFinite(scale)) {
    found.push(violation("guidance.scale", "is not finite", "choose a number, e.g. 6"));
  } else if (scale !== undefined && (scale < 0 || scale > maxGuidanceScale)) {
    found.push(violation("guidance.scale", `${scale} is outside 0 .. ${maxGuidanceScale}`, "choose a scale in that range"));
  }
  return found;
}

function choiceViolations(render: RenderRequest): RuleViolation[] {
  const found: RuleViolation[] = [];
  if (render.scheduler === "unrecognized") found.push(unknownValue("scheduler"));
  if (render.frameSelection === "unrecognized") found.push(unknownValue("frame_selection"));
  render.outputs.forEach((output, index) => {
    const field = `outputs[${index}]`;
    if (output === "unrecognized" || output === "unspecified") found.push(unknownValue(field));
    else if (render.outputs.indexOf(output) !== index) found.push(violation(field, `names ${output} again`, "name each output once"));
  });
  return found;
}

/** What one variant has and another has not. */
function ownViolations({ scheduler, guidance }: RenderRequest, { name, schedulers, hasDynamicGuidance }: ModelFacts): RuleViolation[] {
  const found: RuleViolation[] = [];
  const isKnown = scheduler !== "unspecified" && scheduler !== "unrecognized";
  if (isKnown && !schedulers.kinds.includes(scheduler)) {
    const remedy = `choose ${schedulers.kinds.join(" or ")}, or leave it out for ${schedulers.kind}`;
    found.push(violation("scheduler", `${scheduler} does not run model ${name}`, remedy));
  }
  if (guidance?.dynamic === true && !hasDynamicGuidance) {
    found.push(violation("guidance.dynamic", `is not what model ${name} has`, "leave it out: its guidance scale is constant"));
  }
  return found;
}

function sizeViolations(render: RenderRequest, model: ModelFacts): RuleViolation[] {
  const remedy = `model ${model.name} makes ${model.frames} frames of ${model.width}x${model.height}; leave the field out or give that`;
  return (["width", "height", "frames"] as const).flatMap((field) => {
    const asked = render[field];
    if (asked === undefined || asked === model[field]) return [];
    return [violation(field, `${asked} is not what the model has (${model[field]})`, remedy)];
  });
}
