/**
 * Renders through a farm's gRPC service, as a client would.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { FarmClient } from "../../services/client/farm-client.ts";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import type { Tensor, Uint8Tensor } from "../../services/domain/tensors/tensor.ts";
import {
  type DeepPartial,
  type Job,
  JobClass,
  RenderSpec,
  Reuse,
  type SubmitRenderRequest,
  type UploadMediaResponse,
  type WatchJobResponse,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { writeFile } from "node:fs/promises";
import { runTestFfmpeg } from "./ffmpeg.ts";

/** Uploads a file. */
export function upload(client: FarmClient, path: string): Promise<UploadMediaResponse> {
  return client.upload(path);
}

/** A request for one render with everything else absent. */
export function submission(render: DeepPartial<RenderSpec>, job: Partial<Omit<SubmitRenderRequest, "render">> = {}): SubmitRenderRequest {
  return {
    render: RenderSpec.create({ model: "demo", prompt: "A pot.", ...render }),
    idempotencyKey: "",
    jobClass: JobClass.JOB_CLASS_UNSPECIFIED,
    priority: 0,
    deadline: undefined,
    reuse: Reuse.REUSE_UNSPECIFIED,
    webhook: undefined,
    ...job,
  };
}

export function submit(client: FarmClient, request: SubmitRenderRequest): Promise<Job> {
  return client.submit(request);
}

/** Watches a job to its end; the job then, and everything that was told on the way. */
export async function watchUntilEnd(
  client: FarmClient,
  jobId: string,
): Promise<{ readonly job: Job; readonly told: readonly WatchJobResponse[] }> {
  const told: WatchJobResponse[] = [];
  for await (const response of client.watch(jobId)) told.push(response);
  return { job: await client.getJob(jobId), told };
}

/** A tensor of one of the job's artifacts. */
export async function downloadTensor(
  client: FarmClient,
  job: Job,
  artifact: { readonly name: string; readonly folder: string },
): Promise<Tensor> {
  const path = join(artifact.folder, `${randomUUID()}.safetensors`);
  await client.download({ jobId: job.jobId, name: artifact.name, path });
  const tensor = decodeSafetensors(await readFile(path)).tensors.get(artifact.name);
  if (tensor === undefined) throw new TypeError(`${artifact.name} has no tensor of its name`);
  return tensor;
}

/** uint8 [1,H,W,3] as a PNG file. */
export async function writePng(path: string, pixels: Uint8Tensor): Promise<string> {
  const [, height = 0, width = 0] = pixels.shape;
  await sharp(pixels.data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
  return path;
}

/** uint8 [F,H,W,3] as a clip that decodes to the same bytes: ffv1 in planar RGB. */
export async function writeLosslessClip(path: string, pixels: Uint8Tensor): Promise<string> {
  const [, height = 0, width = 0] = pixels.shape;
  const raw = `${path}.rgb`;
  await writeFile(raw, pixels.data);
  const input = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${width}x${height}`, "-r", "16", "-i", raw];
  await runTestFfmpeg([...input, "-c:v", "ffv1", "-pix_fmt", "gbrp", path]);
  return path;
}
