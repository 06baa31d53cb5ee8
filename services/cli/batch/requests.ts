/**
 * A batch as what submits it: one request where it fits into one (1,000 renders, 3 MiB), else a manifest; with an idempotency key.
 *
 * Pure. The key is made of what the request says, media by their hash, so the same file asks for the same jobs however often it is
 * submitted, and a file that was changed asks for new ones.
 */
import { createHash } from "node:crypto";
import { type DeepPartial, type ManifestHeader, RenderSpec, SubmitRendersRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { RenderRequest, SubmitRequest } from "../../domain/render-request.ts";
import { submitRequestToProto } from "../render/submit-proto.ts";
import type { BatchPlan, MediaSource, PlannedRender } from "./plan.ts";

/** One job to be: its renders stand at their position. */
export type BatchPart = { readonly renders: readonly PlannedRender[]; readonly request: SubmitRendersRequest };

/** More renders than one request takes, as one job. */
export type BatchManifest = {
  readonly renders: readonly PlannedRender[];
  readonly manifest: { readonly header: DeepPartial<ManifestHeader>; readonly renders: readonly RenderSpec[] };
};

/** A batch is one job. */
export type BatchJob = BatchPart | BatchManifest;

type PartOptions = {
  /** Path → SHA-256 of every file. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Of the caller; replaces the key made of the content. */
  readonly idempotencyKey: string | undefined;
  /** What the webhook's secret file holds. */
  readonly webhookSecret?: string | undefined;
};

const mostRenders = 1_000;
/** A message of 4 MiB is the farm's limit. */
const mostBytes = 3 * 1024 ** 2;

/** The requests, in the order of the file. */
export function partsOf(plan: BatchPlan, { hashes, idempotencyKey, webhookSecret = "" }: PartOptions): readonly BatchPart[] {
  const specs = plan.renders.map((render) => ({ render, spec: specOf(render, hashes) }));
  const shared = submitRequestToProto({ ...jobOf(plan.job, webhookSecret), render: undefined });
  return chunksOf(specs).map((chunk, index, all) => {
    const own = chunk.map(({ spec }) => spec);
    const request = SubmitRendersRequest.create({ ...shared, renders: own });
    const content = createHash("sha256").update(SubmitRendersRequest.encode(request).finish()).digest("hex");
    const key = idempotencyKey ?? `batch-${content.slice(0, 48)}`;
    const renders = chunk.map(({ render }) => render);
    return { renders, request: { ...request, idempotencyKey: all.length === 1 ? key : `${key}-${index}` } };
  });
}

/** The batch as one job. */
export function jobOfBatch(plan: BatchPlan, options: PartOptions): BatchJob {
  const parts = partsOf(plan, options);
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const { jobClass, priority, deadline, reuse, webhook } = first?.request ?? SubmitRendersRequest.create();
  const content = createHash("sha256")
    .update(parts.map(({ request }) => request.idempotencyKey).join("\n"))
    .digest("hex");
  const idempotencyKey = options.idempotencyKey ?? `batch-${content.slice(0, 48)}`;
  return {
    renders: parts.flatMap(({ renders }) => renders),
    manifest: {
      header: { jobClass, priority, deadline, reuse, webhook, idempotencyKey },
      renders: parts.flatMap(({ request }) => request.renders),
    },
  };
}

type Spec = { readonly render: PlannedRender; readonly spec: RenderSpec };

function chunksOf(specs: readonly Spec[]): readonly (readonly Spec[])[] {
  const chunks: Spec[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const each of specs) {
    const size = RenderSpec.encode(each.spec).finish().length + 8;
    const last = chunks.at(-1);
    if (last === undefined || last.length === mostRenders || bytes + size > mostBytes) {
      chunks.push([each]);
      bytes = size;
    } else {
      last.push(each);
      bytes += size;
    }
  }
  return chunks;
}

function jobOf(job: BatchPlan["job"], secret = ""): Omit<SubmitRequest, "render"> {
  return {
    idempotencyKey: "",
    jobClass: job.job_class ?? "unspecified",
    priority: job.priority ?? 0,
    deadline: job.deadline,
    reuse: job.reuse ?? "unspecified",
    webhook: job.webhook === undefined ? undefined : { url: job.webhook.url, secret },
  };
}

function specOf(render: PlannedRender, hashes: PartOptions["hashes"]): RenderSpec {
  const { entry } = render;
  const named = (media: MediaSource) =>
    media.kind === "address" ? { sha256: "", uri: media.uri } : { sha256: hashes.get(media.path) ?? "" };
  const request: RenderRequest = {
    model: entry.model ?? "",
    image: named(render.image.media),
    prompt: entry.prompt ?? "",
    negativePrompt: entry.negative_prompt,
    references: render.references.map(({ media }) => named(media)),
    referencePrompts: render.references.map(({ prompt }) => prompt),
    seed: render.seed,
    steps: entry.steps,
    guidance: guidanceOf(entry),
    scheduler: entry.scheduler ?? "unspecified",
    frameSelection: entry.frame_selection ?? "unspecified",
    outputs: entry.outputs ?? [],
    width: entry.width,
    height: entry.height,
    frames: entry.frames,
  };
  return submitRequestToProto({ ...jobOf({}), render: request }).render ?? RenderSpec.create();
}

function guidanceOf({ guidance_scale: scale, dynamic_guidance: dynamic }: PlannedRender["entry"]): RenderRequest["guidance"] {
  return scale === undefined && dynamic === undefined ? undefined : { scale, dynamic };
}
