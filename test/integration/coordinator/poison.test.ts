import { afterAll, beforeAll, expect, it } from "vitest";
import {
  ClearWorkerRequest,
  ExplainJobRequest,
  type FarmServiceClient,
  GetJobRequest,
  JobState,
  ListFailuresRequest,
  RetryTaskRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { TaskClaim } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, getJob, listWorkers, type Media, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { claimOf, failureOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let media: Media;
let workers: readonly PlayedWorker[];

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  // The workers say nothing while the others work.
  running = await farm.start({ environment: { VAPFARM_LEASE_MS: "600000" } });
  ({ client } = running);
  media = await uploadMedia(client);
  workers = await Promise.all([1, 2, 3].map(() => playWorker(farm.broker, farm.artifacts)));
  for (const worker of workers) await worker.next({ freeSlots: 0 });
});
afterAll(async () => {
  for (const worker of workers) worker.stop();
  await farm.stop();
});

const isPoison = ({ parameters }: TaskClaim): boolean =>
  parameters?.kind?.$case === "textEncode" && parameters.kind.value.prompt === "poison";

/** The workers take what there is in turn until the jobs have ended; a run of a deadly task ends the runtime. Who ran deadly ones. */
async function work(jobIds: readonly string[], isDeadly: (claim: TaskClaim) => boolean): Promise<readonly string[]> {
  const died: string[] = [];
  const isOpen = async (jobId: string): Promise<boolean> => (await getJob(client, jobId)).endTime === undefined;
  while ((await Promise.all(jobIds.map(isOpen))).includes(true)) {
    for (const worker of workers) {
      let claim = claimOf(await worker.next());
      while (claim !== undefined) {
        if (!isDeadly(claim)) {
          claim = claimOf(await worker.finish(claim));
          continue;
        }
        died.push(worker.workerId);
        const report = failureOf(claim, "RUNTIME_DIED");
        const value = { code: "RUNTIME_DIED", message: "SIGSEGV", abandoned: false, badInputSha256: [], logTail: "segfault at 0\n" };
        claim = claimOf(await worker.next({ reports: [{ ...report, outcome: { $case: "failure", value } }] }));
      }
    }
  }
  return died;
}

const failures = (change: Partial<ListFailuresRequest> = {}) => call(client.listFailures.bind(client), ListFailuresRequest.create(change));

it("a task that kills its runtime every time ends as suspected poison on three workers, the farm goes on, and a retry runs it anew", async () => {
  const poisoned = await submit(client, renderRequest(media, { prompt: "poison" }));
  const fine = await submit(client, renderRequest(media));
  const died = await work([poisoned.jobId, fine.jobId], isPoison);
  expect(died.toSorted()).toEqual(workers.map(({ workerId }) => workerId).toSorted());
  expect((await getJob(client, fine.jobId)).state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect(await getJob(client, poisoned.jobId)).toMatchObject({ state: JobState.JOB_STATE_FAILED, failure: { code: "SUSPECTED_POISON" } });
  expect((await listWorkers(client)).map(({ health }) => health)).toEqual([undefined, undefined, undefined]);

  const { failures: letters, nextPageToken } = await failures({ code: "SUSPECTED_POISON" });
  expect([letters.length, nextPageToken]).toEqual([1, ""]);
  const [letter] = letters;
  expect(letter).toMatchObject({
    stage: "text_encode",
    tenant: "local",
    pool: "test",
    remedy: "look at its attempts before trying it again",
    renders: [{ jobId: poisoned.jobId, position: 0 }],
    renderCount: 1,
  });
  const tried = letter?.attempts.map(({ workerId, outcome, code, logTail }) => [workerId, outcome, code, logTail]);
  expect(tried).toEqual(died.map((workerId) => [workerId, "failed", "RUNTIME_DIED", "segfault at 0\n"]));

  const retry = () => call(client.retryTask.bind(client), RetryTaskRequest.create({ taskId: letter?.taskId ?? 0n }));
  expect(await retry()).toEqual({ retriedRenders: 1, leftRenders: 0, jobIds: [poisoned.jobId] });
  expect(await retry()).toEqual({ retriedRenders: 0, leftRenders: 0, jobIds: [] });
  await work([poisoned.jobId], () => false);
  expect((await getJob(client, poisoned.jobId)).state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect((await failures()).failures).toEqual([]);
});

it("pages of failures go on where the last ended, and a token of another question is refused", async () => {
  const jobs = [
    await submit(client, renderRequest(media, { prompt: "one" })),
    await submit(client, renderRequest(media, { prompt: "two" })),
  ];
  const prompts = ["one", "two"];
  const isBad = ({ parameters }: TaskClaim): boolean =>
    parameters?.kind?.$case === "textEncode" && prompts.includes(parameters.kind.value.prompt);
  await work(
    jobs.map(({ jobId }) => jobId),
    isBad,
  );
  const first = await failures({ pageSize: 1 });
  const second = await failures({ pageSize: 1, pageToken: first.nextPageToken });
  expect([...first.failures, ...second.failures].map(({ renders }) => renders[0]?.jobId).toSorted()).toEqual(
    jobs.map(({ jobId }) => jobId).toSorted(),
  );
  expect(second.nextPageToken).toBe("");
  expect((await refusalOf(failures({ pageSize: 1, pageToken: first.nextPageToken, stage: "denoise" }))).code).toBe("FIELD_INVALID");
  expect((await refusalOf(failures({ jobId: "no job" }))).code).toBe("JOB_UNKNOWN");
  expect((await failures({ stage: "denoise" })).failures).toEqual([]);
});

it("an unknown task is not found, and an unknown worker cannot be cleared", async () => {
  const retry = (taskId: bigint) => call(client.retryTask.bind(client), RetryTaskRequest.create({ taskId }));
  expect((await refusalOf(retry(987_654n))).code).toBe("TASK_UNKNOWN");
  expect((await refusalOf(retry(-1n))).code).toBe("TASK_UNKNOWN");
  const clear = (workerId: string) => call(client.clearWorker.bind(client), ClearWorkerRequest.create({ workerId }));
  expect((await refusalOf(clear("nobody"))).code).toBe("WORKER_UNKNOWN");
  expect((await clear(workers[0]?.workerId ?? "")).worker).toMatchObject({ health: undefined });
});

it("an engine that fails on a worker is seen with it, explained, and gone when the worker is cleared", async () => {
  const [broken, ...others] = workers;
  if (broken === undefined) throw new TypeError("no worker");
  const { jobId } = await submit(client, renderRequest(media, { prompt: "needs an engine" }));
  let claim = claimOf(await broken.next());
  while (claim !== undefined && claim.stage !== "text_encode") claim = claimOf(await broken.finish(claim));
  if (claim === undefined) throw new TypeError("nothing to claim");
  await broken.report([failureOf(claim, "ENGINE_LOAD_FAILED")]);
  const shown = (await listWorkers(client)).find(({ workerId }) => workerId === broken.workerId);
  expect(shown?.health).toMatchObject({ quarantines: [{ code: "ENGINE_LOAD_FAILED", failures: 1 }] });
  for (const other of others) await running.store.cordonWorker(other.workerId, { by: "test", reason: "" });
  const explain = async () => {
    const { tasks } = await call(client.explainJob.bind(client), ExplainJobRequest.create({ jobId }));
    return tasks.find(({ stage }) => stage === "text_encode")?.constraints.map(({ message }) => message) ?? [];
  };
  expect((await explain()).join("\n")).toContain(`for a while, because it failed there: ${broken.workerId}`);
  await call(client.clearWorker.bind(client), ClearWorkerRequest.create({ workerId: broken.workerId }));
  await broken.next({ freeSlots: 0 });
  expect((await explain()).join("\n")).not.toContain("for a while");
  for (const other of others) await running.store.uncordonWorker(other.workerId);
  await work([jobId], () => false);
  expect((await call(client.getJob.bind(client), GetJobRequest.create({ jobId }))).job?.state).toBe(JobState.JOB_STATE_SUCCEEDED);
});
