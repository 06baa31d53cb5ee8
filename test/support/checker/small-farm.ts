/**
 * A small run of a whole farm in which every kind of thing happens once: the sound evidence that violations are planted into.
 *
 * Two real workers; renders that succeed, are repeated, reuse and share; one whose runtime is killed and that goes on at a checkpoint; one
 * that is cancelled, one that fails, a hold, a cordon, a webhook.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { FarmClient } from "../../../services/client/farm-client.ts";
import { type DeepPartial, type Job, JobState, Reuse, type SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { HoldScope } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { OutputKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { startTestFarm, type TestFarm } from "../farm.ts";
import { projectRoot } from "../ffmpeg.ts";
import { endOf, keptStep, runtimeOf } from "../long-render.ts";
import { until } from "../until.ts";
import { type Receiver, startReceiver } from "../webhook-receiver.ts";
import type { Bounds } from "./evidence.ts";
import { type Journals, openJournals } from "./journals.ts";

/** Steps between two checkpoints of this farm. */
const checkpointSteps = 25;

export type SmallFarm = {
  readonly farm: TestFarm;
  readonly journals: Journals;
  readonly bounds: Partial<Bounds>;
  /** Ids of jobs, by what became of them. */
  readonly jobs: Readonly<Record<"plain" | "batch" | "resumed" | "cancelled" | "failed" | "held", string>>;
  /** The name of the worker that was free to work when the other was cordoned. */
  readonly workingName: string;
  stop(): Promise<void>;
};

/** Starts it and lets everything happen; returns when all of it has ended. */
export async function runSmallFarm(): Promise<SmallFarm> {
  const journals = await openJournals();
  const receiver = await startReceiver((message, response) => {
    const [jobId = "", number] = String(message.headers["webhook-id"]).split("/");
    const { type } = JSON.parse(message.body) as { readonly type: string };
    journals.tester.write({ kind: "delivered", jobId, eventNumber: Number(number), type });
    response.writeHead(204).end();
  }, false);
  const farm = await startTestFarm({
    args: ["--ephemeral", "--workers", "2"],
    environment: {
      VAPFARM_CHECKPOINT_STEPS: String(checkpointSteps),
      VAPFARM_WEBHOOK_TARGETS: JSON.stringify([{ prefix: originOf(receiver), privateAddresses: true }]),
    },
    journals,
  });
  journals.tester.write({ kind: "listens", url: originOf(receiver) });
  const jobs = await everything(farm, { journals, receiver });
  const [, working] = await farm.client.listWorkers();
  return {
    farm,
    journals,
    bounds: { checkpointSteps },
    jobs,
    workingName: working?.name ?? "",
    async stop() {
      await farm.stop();
      await Promise.all([receiver.stop(), journals.remove()]);
    },
  };
}

const originOf = ({ port }: Receiver): string => `http://127.0.0.1:${port}/`;

type Outside = { readonly journals: Journals; readonly receiver: Receiver };

async function everything(farm: TestFarm, outside: Outside): Promise<SmallFarm["jobs"]> {
  const { client } = farm;
  const media = await uploads(client);
  const plain = await told(farm, requestOf(media, { key: "plain", seed: 1n, webhook: `${originOf(outside.receiver)}hook` }));
  await client.submit(requestOf(media, { key: "plain", seed: 1n, webhook: `${originOf(outside.receiver)}hook` }));
  await endOf(farm, await client.submit(requestOf(media, { seed: 1n })));
  const resumed = await resumedAfterKill(farm, media);
  const held = await heldThenDone(farm, media);
  const { job: batch } = await client.submitMany({ renders: [2n, 3n].map((seed) => requestOf(media, { seed }).render ?? {}) });
  const failed = await failedByLoss(farm, media, outside.journals);
  const cancelled = await cancelledInHold(farm, media);
  if (batch !== undefined) await endOf(farm, batch);
  return { plain: plain.jobId, batch: batch?.jobId ?? "", resumed, cancelled, failed, held };
}

type Media = { readonly image: string; readonly clip: string };

async function uploads(client: FarmClient): Promise<Media> {
  const [image, clip] = await Promise.all(["demo/image.png", "demo/clip.mp4"].map((path) => client.upload(join(projectRoot, path))));
  return { image: image?.sha256 ?? "", clip: clip?.sha256 ?? "" };
}

type Asked = { readonly seed: bigint; readonly key?: string; readonly steps?: number; readonly webhook?: string };

function requestOf({ image, clip }: Media, { seed, key = "", steps = 2, webhook }: Asked): DeepPartial<SubmitRenderRequest> {
  return {
    render: {
      model: "demo",
      image: { sha256: image },
      prompt: "The pot begins to inflate.",
      references: [{ sha256: clip }],
      referencePrompts: ["A ball inflates."],
      seed,
      steps,
      outputs: [OutputKind.OUTPUT_KIND_LATENTS],
    },
    idempotencyKey: key,
    reuse: Reuse.REUSE_ALL,
    ...(webhook === undefined ? {} : { webhook: { url: webhook, secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}` } }),
  };
}

/** One whose client looks at everything. */
async function told(farm: TestFarm, request: DeepPartial<SubmitRenderRequest>): Promise<Job> {
  const { client } = farm;
  const job = await client.submit(request);
  const done = await endOf(farm, job);
  await client.calls.listEvents({ jobId: job.jobId });
  const latents = client.read({ jobId: job.jobId, name: "latents" });
  while ((await latents.next()).done !== true);
  return done;
}

const longSteps = 400;

/** Its runtime is killed after a checkpoint was kept: the other worker goes on there. */
async function resumedAfterKill(farm: TestFarm, media: Media): Promise<string> {
  const job = await farm.client.submit(requestOf(media, { seed: 4n, steps: longSteps }));
  await until("a checkpoint is kept", async () => (await keptStep(farm, job)) > 0, 60_000);
  const denoise = (await farm.client.getJob(job.jobId)).tasks.find(({ stage }) => stage === "denoise");
  process.kill(await runtimeOf(farm, denoise?.workerName ?? ""), "SIGKILL");
  await endOf(farm, job);
  return job.jobId;
}

async function heldThenDone(farm: TestFarm, media: Media): Promise<string> {
  const { calls } = farm.client;
  const [worker] = await farm.client.listWorkers();
  await calls.cordonWorker({ workerId: worker?.workerId ?? "", reason: "a look" });
  const hold = { scope: HoldScope.HOLD_SCOPE_FARM, name: "" };
  await calls.placeHold({ ...hold, reason: "a look" });
  const job = await farm.client.submit(requestOf(media, { seed: 5n }));
  await calls.releaseHold(hold);
  await endOf(farm, job);
  await calls.uncordonWorker({ workerId: worker?.workerId ?? "" });
  return job.jobId;
}

/** An image of its own, whose bytes are gone before anyone has read them: no worker can make it again. */
async function failedByLoss(farm: TestFarm, media: Media, journals: Journals): Promise<string> {
  const hold = { scope: HoldScope.HOLD_SCOPE_FARM, name: "" };
  await farm.client.calls.placeHold({ ...hold, reason: "a loss" });
  const bytes = Buffer.concat([await readFile(join(projectRoot, "demo/image.png")), Buffer.from("lost")]);
  const { sha256: image } = await farm.client.upload(bytes);
  const job = await farm.client.submit(requestOf({ ...media, image }, { seed: 6n }));
  journals.tester.write({ kind: "damaged", sha256: image });
  await rm(join(farm.description.artifacts.replace(/^folder:/, ""), image.slice(0, 2), image));
  await farm.client.calls.releaseHold(hold);
  const { state } = await endOf(farm, job);
  if (state !== JobState.JOB_STATE_FAILED) throw new TypeError("the render of a lost image did not fail");
  return job.jobId;
}

/** Cancelled while it waits, in a hold that ends afterwards. */
async function cancelledInHold(farm: TestFarm, media: Media): Promise<string> {
  const hold = { scope: HoldScope.HOLD_SCOPE_TENANT, name: "" };
  await farm.client.calls.placeHold({ ...hold, reason: "a look" });
  const job = await farm.client.submit(requestOf(media, { seed: 7n }));
  await farm.client.cancel(job.jobId);
  await farm.client.calls.releaseHold(hold);
  return job.jobId;
}
