/**
 * What is wrong with a submitted render: every violation, not only the first.
 *
 * Pure: models, uploads and the time are arguments. Each rule names field, reason and remedy; media was decoded
 * when it was uploaded, so only its recorded facts matter here.
 */
import { type ErrorCode, FarmError, type FieldViolation } from "./errors.ts";
import { isSha256 } from "./ids.ts";
import type { ModelFacts, RenderRequest, SubmitRequest } from "./render-request.ts";
import type { MediaReference } from "./render-spec.ts";

/** A violation and the code that it would have if it were the only one. */
export type RuleViolation = FieldViolation & { readonly code: ErrorCode };

export type UploadFacts = { readonly kind: "image" | "video"; readonly frames: number };

export type RuleFacts = {
  readonly models: ReadonlyMap<string, ModelFacts>;
  /** Uploads of the caller's tenant by SHA-256. */
  readonly uploads: ReadonlyMap<string, UploadFacts>;
  readonly now: Date;
};

export const maxTextCharacters = 20_000;
const maxSeed = 2n ** 63n - 1n;
const maxGuidanceScale = 100;
/** The end of google.protobuf.Timestamp's range. */
const lastTime = Date.UTC(10_000, 0);
const keyPattern = /^[\x20-\x7e]{1,128}$/;

function violation(field: string, reason: string, remedy: string): RuleViolation {
  return { code: "FIELD_INVALID", field, reason, remedy };
}

/** Everything that a client must correct; empty when the request can be stored. */
export function violationsOf(request: SubmitRequest, facts: RuleFacts): readonly RuleViolation[] {
  const job = jobViolations(request, facts.now);
  const { render } = request;
  if (render === undefined) return [violation("render", "is missing", "name the render to make"), ...job];
  const model = facts.models.get(render.model);
  return [
    ...modelViolations(render, facts.models),
    ...textViolations(render),
    ...imageViolations(render, facts),
    ...referenceViolations(render, facts),
    ...samplerViolations(render),
    ...choiceViolations(render),
    ...(model === undefined ? [] : sizeViolations(render, model)),
    ...job,
  ];
}

/** What is wrong with the form of a request's key and deadline: such a request can be neither looked up nor digested. */
export function formViolationsOf({ idempotencyKey, deadline }: Pick<SubmitRequest, "idempotencyKey" | "deadline">): RuleViolation[] {
  const found: RuleViolation[] = [];
  if (idempotencyKey !== "" && !keyPattern.test(idempotencyKey)) {
    found.push(violation("idempotency_key", "has other than 1 to 128 printable ASCII characters", "use such a key, e.g. a UUID"));
  }
  if (deadline !== undefined && !(Math.abs(deadline.getTime()) < lastTime)) {
    found.push(violation("deadline", "is no time before the year 10000", "choose a time to come, or none"));
  }
  return found;
}

/** One error for all violations; its code is theirs if they agree. */
export function refusalOf(violations: readonly RuleViolation[]): FarmError {
  const codes = new Set<ErrorCode>(violations.map(({ code }) => code));
  const [only] = codes;
  const fields = violations.map(({ field, reason, remedy }): FieldViolation => ({ field, reason, remedy }));
  const message = fields.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return new FarmError(codes.size === 1 && only !== undefined ? only : "FIELD_INVALID", { message, details: { fields } });
}

function jobViolations(request: SubmitRequest, now: Date): RuleViolation[] {
  const found = formViolationsOf(request);
  if (request.priority < -100 || request.priority > 100) {
    found.push(violation("priority", `${request.priority} is outside -100 .. 100`, "choose a priority in that range"));
  }
  if (request.deadline !== undefined && request.deadline.getTime() <= now.getTime()) {
    found.push(violation("deadline", "has passed", "choose a time to come, or none"));
  }
  if (request.jobClass === "unrecognized") found.push(unknownValue("job_class"));
  if (request.reuse === "unrecognized") found.push(unknownValue("reuse"));
  return found;
}

function unknownValue(field: string): RuleViolation {
  return violation(field, "has a value that this farm does not know", "choose one of the values of this farm's farm.proto");
}

function modelViolations(render: RenderRequest, models: RuleFacts["models"]): RuleViolation[] {
  if (models.has(render.model)) return [];
  const known = [...models.keys()].sort().join(", ");
  const reason = render.model === "" ? "is missing" : `"${render.model.slice(0, 80)}" is no model of this farm`;
  return [
    { ...violation("render.model", reason, known === "" ? "add a model to the farm" : `choose one of: ${known}`), code: "MODEL_UNKNOWN" },
  ];
}

function textViolations(render: RenderRequest): RuleViolation[] {
  const texts: [string, string | undefined][] = [
    ["render.prompt", render.prompt],
    ["render.negative_prompt", render.negativePrompt],
    ...render.referencePrompts.map((text, index): [string, string] => [`render.reference_prompts[${index}]`, text]),
  ];
  return texts.flatMap(([field, text]) => (text === undefined ? [] : textViolation(field, text)));
}

function textViolation(field: string, text: string): RuleViolation[] {
  if (text.length > maxTextCharacters) {
    return [violation(field, `has ${text.length} characters, more than ${maxTextCharacters}`, "shorten the text")];
  }
  if (text.includes("\0")) return [violation(field, "holds a NUL character", "remove it")];
  if (!text.isWellFormed()) return [violation(field, "holds half of a surrogate pair", "send well-formed Unicode")];
  return [];
}

function imageViolations(render: RenderRequest, facts: RuleFacts): RuleViolation[] {
  if (render.image === undefined) return [violation("render.image", "is missing", "upload an image and name its SHA-256")];
  return mediaViolations("render.image", render.image, facts);
}

function mediaViolations(field: string, media: MediaReference, facts: RuleFacts): RuleViolation[] {
  if (!isSha256(media.sha256)) {
    return [violation(field, "is no SHA-256 in lower-case hex", "use the sha256 that the upload answered")];
  }
  if (facts.uploads.has(media.sha256)) return [];
  return [{ ...violation(field, `no upload ${media.sha256} of this tenant`, "upload the media first"), code: "MEDIA_UNKNOWN" }];
}

function referenceViolations(render: RenderRequest, facts: RuleFacts): RuleViolation[] {
  const model = facts.models.get(render.model);
  const most = model?.maxReferences ?? 3;
  const { references, referencePrompts } = render;
  const found: RuleViolation[] = [];
  if (references.length < 1 || references.length > most) {
    found.push(violation("render.references", `has ${references.length} references`, `name 1 to ${most}`));
  }
  if (referencePrompts.length !== references.length) {
    const reason = `has ${referencePrompts.length} prompts for ${references.length} references`;
    found.push(violation("render.reference_prompts", reason, "give exactly one prompt for each reference"));
  }
  references.forEach((reference, index) =>
    found.push(...clipViolations(`render.references[${index}]`, reference, { render, model, facts })),
  );
  return found;
}

type ClipCase = { readonly render: RenderRequest; readonly model: ModelFacts | undefined; readonly facts: RuleFacts };

function clipViolations(field: string, reference: MediaReference, { render, model, facts }: ClipCase): RuleViolation[] {
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
  const found: RuleViolation[] = [];
  const { seed, steps } = render;
  const scale = render.guidance?.scale;
  if (seed !== undefined && (seed < 0n || seed > maxSeed)) {
    found.push(violation("render.seed", `${seed} is outside 0 .. 2^63-1`, "choose a seed in that range, or none to have one drawn"));
  }
  if (steps !== undefined && (!Number.isInteger(steps) || steps < 1 || steps > 1000)) {
    found.push(violation("render.steps", `${steps} is outside 1 .. 1000`, "choose a number of steps in that range"));
  }
  if (scale !== undefined && !Number.isFinite(scale)) {
    found.push(violation("render.guidance.scale", "is not finite", "choose a number, e.g. 6"));
  } else if (scale !== undefined && (scale < 0 || scale > maxGuidanceScale)) {
    found.push(violation("render.guidance.scale", `${scale} is outside 0 .. ${maxGuidanceScale}`, "choose a scale in that range"));
  }
  return found;
}

function choiceViolations(render: RenderRequest): RuleViolation[] {
  const found: RuleViolation[] = [];
  if (render.scheduler === "unrecognized") found.push(unknownValue("render.scheduler"));
  if (render.frameSelection === "unrecognized") found.push(unknownValue("render.frame_selection"));
  render.outputs.forEach((output, index) => {
    const field = `render.outputs[${index}]`;
    if (output === "unrecognized" || output === "unspecified") found.push(unknownValue(field));
    else if (render.outputs.indexOf(output) !== index) found.push(violation(field, `names ${output} again`, "name each output once"));
  });
  return found;
}

function sizeViolations(render: RenderRequest, model: ModelFacts): RuleViolation[] {
  const remedy = `model ${model.name} makes ${model.frames} frames of ${model.width}x${model.height}; leave the field out or give that`;
  return (["width", "height", "frames"] as const).flatMap((field) => {
    const asked = render[field];
    if (asked === undefined || asked === model[field]) return [];
    return [violation(`render.${field}`, `${asked} is not what the model has (${model[field]})`, remedy)];
  });
}
