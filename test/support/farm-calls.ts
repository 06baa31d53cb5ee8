/**
 * FarmService as a test calls it: promises, deadlines set, streams collected.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../services/domain/errors.ts";
import {
  DownloadArtifactRequest,
  type FarmServiceClient,
  GetJobRequest,
  type Job,
  type JobEvent,
  ListWorkersRequest,
  RenderSpec,
  SubmitRenderRequest,
  UploadMediaHeader,
  type UploadMediaRequest,
  type UploadMediaResponse,
  type WatchJobResponse,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { callClientStream, callServerStream, callUnary, type CallOptions, type UnaryMethod } from "../../services/platform/grpc/client.ts";

const options: CallOptions = { deadlineMs: 30_000 };

/** Any unary method: `call(client.listJobs.bind(client), ListJobsRequest.create())`. */
export function call<Q, A>(method: UnaryMethod<Q, A>, request: Q, headers: Readonly<Record<string, string>> = {}): Promise<A> {
  return callUnary(method, request, { ...options, headers });
}

/** Lower-case hex SHA-256. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function upload(
  client: FarmServiceClient,
  bytes: Uint8Array,
  header: Partial<UploadMediaHeader> = {},
): Promise<UploadMediaResponse> {
  const messages: UploadMediaRequest[] = [{ part: { $case: "header", value: UploadMediaHeader.create({ fileName: "test", ...header }) } }];
  for (let start = 0; start < bytes.length; start += 262_144) {
    messages.push({ part: { $case: "chunk", value: Buffer.from(bytes.subarray(start, start + 262_144)) } });
  }
  return uploadMessages(client, messages);
}

export function uploadMessages(
  client: FarmServiceClient,
  messages: AsyncIterable<UploadMediaRequest> | Iterable<UploadMediaRequest>,
  call: Partial<CallOptions> = {},
): Promise<UploadMediaResponse> {
  return callClientStream(client.uploadMedia.bind(client), messages, { ...options, ...call });
}

export type Media = { readonly image: string; readonly clip: string };

/** Uploads an image and a clip of 40 frames. */
export async function uploadMedia(client: FarmServiceClient): Promise<Media> {
  const [image, clip] = await Promise.all([upload(client, Buffer.from("IMAGE")), upload(client, Buffer.from("CLIP 40"))]);
  return { image: image.sha256, clip: clip.sha256 };
}

/** A request that the demo model can serve. */
export function renderRequest(media: Media, change: Partial<RenderSpec> = {}): SubmitRenderRequest {
  const render = RenderSpec.create({
    model: "demo",
    image: { sha256: media.image },
    prompt: "a cat turns into a balloon",
    references: [{ sha256: media.clip }],
    referencePrompts: ["a dog turns into a balloon"],
  });
  return SubmitRenderRequest.create({ render: { ...render, ...change } });
}

export async function submit(
  client: FarmServiceClient,
  request: SubmitRenderRequest,
  headers: Readonly<Record<string, string>> = {},
): Promise<Job> {
  return present((await callUnary(client.submitRender.bind(client), request, { ...options, headers })).job);
}

export async function getJob(client: FarmServiceClient, jobId: string, headers: Readonly<Record<string, string>> = {}): Promise<Job> {
  return present((await callUnary(client.getJob.bind(client), GetJobRequest.create({ jobId }), { ...options, headers })).job);
}

export async function cancel(client: FarmServiceClient, jobId: string): Promise<Job> {
  return present((await callUnary(client.cancelJob.bind(client), { jobId }, options)).job);
}

export type WatchFrom = { readonly jobId: string; readonly after?: bigint; readonly signal?: AbortSignal };

export function watch(client: FarmServiceClient, { jobId, after = 0n, signal }: WatchFrom): AsyncGenerator<WatchJobResponse> {
  const call = signal === undefined ? options : { ...options, signal };
  return callServerStream(client.watchJob.bind(client), { jobId, afterEventNumber: after }, call);
}

/** Every event of a watch until it ends. */
export async function watchedEvents(updates: AsyncIterable<WatchJobResponse>): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const { update } of updates) if (update?.$case === "event") events.push(update.value);
  return events;
}

/** An artifact's messages: what the first says, and the bytes of all. */
export async function download(client: FarmServiceClient, jobId: string, name: string) {
  const chunks: Buffer[] = [];
  let first: { readonly sha256: string; readonly sizeBytes: bigint } | undefined;
  for await (const message of callServerStream(
    client.downloadArtifact.bind(client),
    DownloadArtifactRequest.create({ jobId, name }),
    options,
  )) {
    first ??= message.artifact;
    chunks.push(message.chunk);
  }
  return { artifact: present(first), bytes: Buffer.concat(chunks), sizes: chunks.map(({ length }) => length) };
}

export async function listWorkers(client: FarmServiceClient) {
  return (await callUnary(client.listWorkers.bind(client), ListWorkersRequest.create(), options)).workers;
}

/** A value that a test relies on. */
export function present<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw new TypeError("expected a value");
  return value;
}

/** The FarmError that a call is refused with. */
export async function refusalOf(call: Promise<unknown>): Promise<FarmError> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof FarmError) return thrown;
  throw new TypeError("expected the call to be refused");
}
