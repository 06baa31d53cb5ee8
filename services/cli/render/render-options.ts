/**
 * The flags of `render` as commander hands them over, and the request that they mean.
 *
 * Only what the wire cannot carry is refused here (FIELD_INVALID, the field's path as the farm spells it);
 * every other rule is the farm's, so that a request over gRPC and one from the CLI are judged alike.
 */
import { FarmError, type FieldViolation, toFarmError } from "../../domain/errors.ts";
import type { Choice, MediaSource, RenderRequest, SubmitRequest } from "../../domain/render-request.ts";
import { schedulerKinds } from "../../domain/render-spec.ts";
import { parseTime } from "../ages.ts";

/** As commander hands them over. */
export type RenderOptions = {
  readonly model: string;
  readonly image: string;
  readonly prompt: string;
  readonly negativePrompt?: string;
  readonly reference: readonly string[];
  readonly referencePrompt: readonly string[];
  readonly seed?: string;
  readonly steps?: string;
  readonly guidanceScale?: string;
  readonly dynamicGuidance?: boolean;
  readonly scheduler?: string;
  readonly framesSelection?: string;
  readonly outputs?: string;
  readonly priority?: string;
  readonly deadline?: string;
  readonly jobClass?: string;
  readonly webhook?: string;
  readonly webhookSecretFile?: string;
  /** Read from the file. */
  readonly webhookSecret?: string;
  readonly idempotencyKey?: string;
  readonly reuse?: string;
  readonly out: string;
  readonly detach?: boolean;
  readonly local?: boolean;
  readonly json?: boolean;
  readonly address?: string;
  readonly data?: string;
  readonly models?: string;
  readonly threads?: string;
};

/** SHA-256 of what was uploaded, or the address of what the farm fetches, in the order of the flags. */
export type UploadedMedia = { readonly image: string; readonly references: readonly string[] };

const selections = ["evenly", "first"] as const;
const outputKinds = ["mp4", "latents", "frames"] as const;
const jobClasses = ["production", "benchmark"] as const;
const reuses = ["all", "inputs", "none"] as const;

/** What a request is made of once media are known; throws FIELD_INVALID with every violation. */
export function requestOf(options: RenderOptions, media: UploadedMedia): SubmitRequest {
  const violations: FieldViolation[] = [];
  const request: SubmitRequest = {
    render: renderOf(options, media, violations),
    idempotencyKey: options.idempotencyKey ?? "",
    jobClass: choice({ field: "job_class", value: options.jobClass, choices: jobClasses }, violations),
    priority: whole(options.priority, "priority", violations) ?? 0,
    deadline: deadlineOf(options.deadline, violations),
    reuse: choice({ field: "reuse", value: options.reuse, choices: reuses }, violations),
    webhook: options.webhook === undefined ? undefined : { url: options.webhook, secret: options.webhookSecret ?? "" },
  };
  if (violations.length > 0) throw invalid(violations);
  return request;
}

/** The same checks before anything was uploaded. */
export function checkOptions(options: RenderOptions): void {
  requestOf(options, { image: "", references: [] });
}

function renderOf(options: RenderOptions, media: UploadedMedia, violations: FieldViolation[]): RenderRequest {
  const named = (options.outputs ?? "").split(",").filter((part) => part !== "");
  return {
    model: options.model,
    image: sourceOf(media.image),
    prompt: options.prompt,
    negativePrompt: options.negativePrompt,
    references: media.references.map(sourceOf),
    referencePrompts: options.referencePrompt,
    seed: seedOf(options.seed, violations),
    steps: whole(options.steps, "render.steps", violations),
    guidance: guidanceOf(options, violations),
    scheduler: choice({ field: "render.scheduler", value: options.scheduler, choices: schedulerKinds }, violations),
    frameSelection: choice({ field: "render.frame_selection", value: options.framesSelection, choices: selections }, violations),
    outputs: named.map((value, index) => choice({ field: `render.outputs[${index}]`, value, choices: outputKinds }, violations)),
    width: undefined,
    height: undefined,
    frames: undefined,
  };
}

/** Whether the farm fetches the media itself; everything else is a file here. */
export function isMediaAddress(media: string): boolean {
  return /^(https|s3):\/\//.test(media);
}

function sourceOf(media: string): MediaSource {
  return isMediaAddress(media) ? { sha256: "", uri: media } : { sha256: media };
}

function deadlineOf(text: string | undefined, violations: FieldViolation[]): Date | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTime("deadline", text, { now: new Date(), sign: 1 });
  } catch (thrown) {
    violations.push(...(toFarmError(thrown).details.fields ?? []));
    return undefined;
  }
}

function guidanceOf(options: RenderOptions, violations: FieldViolation[]): RenderRequest["guidance"] {
  const { guidanceScale, dynamicGuidance } = options;
  if (guidanceScale === undefined && dynamicGuidance === undefined) return undefined;
  return { scale: scaleOf(guidanceScale, violations), dynamic: dynamicGuidance };
}

function scaleOf(text: string | undefined, violations: FieldViolation[]): number | undefined {
  if (text === undefined) return undefined;
  const scale = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(scale)) return scale;
  violations.push({ field: "render.guidance.scale", reason: `"${text}" is no finite number`, remedy: "give a number such as 6" });
  return undefined;
}

function seedOf(text: string | undefined, violations: FieldViolation[]): bigint | undefined {
  if (text === undefined) return undefined;
  const seed = /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (seed !== undefined && BigInt.asIntN(64, seed) === seed) return seed;
  violations.push({ field: "render.seed", reason: `"${text}" is no seed`, remedy: "give a whole number from 0 to 2^63-1" });
  return undefined;
}

function whole(text: string | undefined, field: string, violations: FieldViolation[]): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (Math.trunc(value) === value && Math.abs(value) < 2 ** 31) return value;
  violations.push({ field, reason: `"${text}" is no whole number`, remedy: "give a whole number" });
  return undefined;
}

type ChoiceText<T> = { readonly field: string; readonly value: string | undefined; readonly choices: readonly T[] };

function choice<T extends string>({ field, value, choices }: ChoiceText<T>, violations: FieldViolation[]): Choice<T> {
  if (value === undefined) return "unspecified";
  const known = choices.find((each) => each === value);
  if (known !== undefined) return known;
  violations.push({ field, reason: `"${value}" is unknown`, remedy: `choose of ${choices.join(", ")}` });
  return "unrecognized";
}

function invalid(fields: readonly FieldViolation[]): FarmError {
  const message = fields.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return new FarmError("FIELD_INVALID", { message, details: { fields } });
}
