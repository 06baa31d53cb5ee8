/**
 * Renders on a farm that is being disturbed: submitted so that a repeat is harmless, followed in Postgres past every link that may be broken.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../../services/domain/errors.ts";
import type { FarmClient } from "../../../services/client/farm-client.ts";
import { isOutage } from "../../../services/client/patience.ts";
import { RenderSpec, Reuse, SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { pause } from "../../../services/platform/deadline.ts";
import { projectRoot } from "../ffmpeg.ts";
import { until } from "../until.ts";
import type { FaultFarm } from "./farm.ts";

export type Inputs = { readonly image: string; readonly clip: string };

/** Uploads what all renders begin from. */
export async function uploadInputs(client: FarmClient): Promise<Inputs> {
  const [image, clip] = await Promise.all(["demo/image.png", "demo/clip.mp4"].map((path) => client.upload(join(projectRoot, path))));
  return { image: image?.sha256 ?? "", clip: clip?.sha256 ?? "" };
}

export type Wanted = { readonly inputs: Inputs; readonly seed: number; readonly steps: number; readonly key?: string };

/** A render that shares all but its denoise with others of the same inputs. */
export function requestOf({ inputs, seed, steps, key = randomUUID() }: Wanted): SubmitRenderRequest {
  const render = RenderSpec.create({
    model: "demo",
    image: { sha256: inputs.image },
    prompt: "The pot begins to inflate.",
    references: [{ sha256: inputs.clip }],
    referencePrompts: ["A ball inflates."],
    seed: BigInt(seed),
    steps,
    outputs: [OutputKind.OUTPUT_KIND_LATENTS],
  });
  return SubmitRenderRequest.create({ render, reuse: Reuse.REUSE_ALL, idempotencyKey: key });
}

/** Submits through whatever happens meanwhile, under the request's one key; the job's id. */
export async function submitPatiently(client: FarmClient, request: SubmitRenderRequest): Promise<string> {
  const end = performance.now() + 40_000;
  for (;;) {
    try {
      return (await client.submit(request, { deadlineMs: 5_000 })).jobId;
    } catch (thrown) {
      const error = toFarmError(thrown);
      if (!(error instanceof FarmError && isOutage(error)) || performance.now() > end) throw thrown;
      await pause(100);
    }
  }
}

export type Running = { readonly worker: string; readonly attemptId: string; readonly step: number };

/** The attempt that computes the job's denoise now, as its worker's last beat said. */
export async function denoiseOf(farm: FaultFarm, jobId: string): Promise<Running | undefined> {
  const [row] = await farm.sql<{ worker: string; attempt_id: string; step: number }>(
    `select a.worker_name as worker, a.id as attempt_id, (p ->> 'step')::int as step
     from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.stage = 'denoise'
     join attempt a on a.task_id = t.id and a.state = 'running' join session s on s.id = a.session_id
     cross join jsonb_array_elements(s.progress) p
     where r.job_id = $1 and p ->> 'attemptId' = a.id::text and (p ->> 'step')::int > 0`,
    [jobId],
  );
  return row === undefined ? undefined : { worker: row.worker, attemptId: row.attempt_id, step: row.step };
}

/** Waits until the job's denoise computes. */
export async function denoising(farm: FaultFarm, jobId: string): Promise<Running> {
  let running: Running | undefined;
  await until(`job ${jobId} denoises`, async () => (running = await denoiseOf(farm, jobId)) !== undefined, 40_000);
  if (running === undefined) throw new TypeError("nothing runs");
  return running;
}

/** Waits until the jobs have ended; their states in the same order. */
export async function endsOf(farm: FaultFarm, jobIds: readonly string[], deadlineMs = 50_000): Promise<readonly string[]> {
  let states: readonly { readonly id: string; readonly state: string }[] = [];
  await until(
    `jobs end: ${jobIds.join(", ")}`,
    async () => {
      states = await farm.sql<{ id: string; state: string }>("select id, state from job where id = any ($1)", [jobIds]);
      return states.length === new Set(jobIds).size && states.every(({ state }) => !["queued", "running"].includes(state));
    },
    deadlineMs,
  );
  return jobIds.map((jobId) => states.find(({ id }) => id === jobId)?.state ?? "unknown");
}

/** How long the job's denoise computed. */
export async function denoiseMsOf(farm: FaultFarm, jobId: string): Promise<number> {
  const [row] = await farm.sql<{ ms: number }>(
    `select a.compute_ms as ms from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.stage = 'denoise'
     join attempt a on a.task_id = t.id and a.state = 'succeeded' where r.job_id = $1`,
    [jobId],
  );
  return row?.ms ?? 0;
}

export type AttemptRow = {
  readonly id: string;
  readonly worker: string;
  readonly state: string;
  readonly code: string | null;
  /** False for one that was only reserved: a worker that came free may have taken its task. */
  readonly begun: boolean;
  /** Of its task: class → failures that were charged. */
  readonly charged: Readonly<Record<string, number>>;
};

/** The attempts at the job's denoise, in order. */
export function attemptsOf(farm: FaultFarm, jobId: string): Promise<readonly AttemptRow[]> {
  return farm.sql<AttemptRow>(
    `select a.id, a.worker_name as worker, a.state, a.error_code as code, a.began_at is not null as begun, t.failures as charged
     from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.stage = 'denoise'
     join attempt a on a.task_id = t.id where r.job_id = $1 order by a.number`,
    [jobId],
  );
}
