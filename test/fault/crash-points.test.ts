/**
 * A coordinator that dies at each of its commit points within a call, by name (`VAPFARM_CRASH_AT`): before the commit nothing happened, after
 * it everything did, and either way another coordinator goes on, with what a client or worker says again.
 */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AttemptReportDisposition as Disposition, type TaskClaim } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import {
  type FarmServiceClient,
  JobState,
  ManifestHeader,
  RetryJobRequest,
  RetryTaskRequest,
  type SubmitManifestRequest,
  UpdateJobRequest,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { callClientStream } from "../../services/platform/grpc/client.ts";
import { call, cancel, getJob, present, renderRequest, submit } from "../support/farm-calls.ts";
import {
  callOf,
  type Crash,
  type CrashScene,
  crashTimeoutMs,
  endKept,
  pointsOf,
  type RequestCall,
  startCrashScene,
} from "../support/fault/crash-scene.ts";
import { claimOf, failureOf, storeOutputs, successOf } from "../support/played-worker.ts";

let here: CrashScene;
beforeAll(async () => {
  here = await startCrashScene();
}, crashTimeoutMs);
afterAll(() => endKept(here), crashTimeoutMs);

const attemptsOf = ({ taskId }: TaskClaim): Promise<number> => here.count("attempt where task_id = $1", [taskId]);
const stateOf = async (jobId: string) => (await getJob(here.client(), jobId)).state;

const crashes: Readonly<Record<RequestCall, () => Promise<Crash>>> = {
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async submit() {
    const request = { ...renderRequest(here.media, { prompt: randomUUID() }), idempotencyKey: randomUUID() };
    const stored = () => here.count("job where idempotency_key = $1", [request.idempotencyKey]);
    return {
      provoke: (doomed) => submit(doomed, request),
      async check(committed) {
        expect(await stored()).toBe(committed ? 1 : 0);
        await submit(here.client(), request);
        expect(await stored()).toBe(1);
      },
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async manifest() {
    const renders = [1, 2, 3].map(() => present(renderRequest(here.media, { prompt: randomUUID() }).render));
    const header = ManifestHeader.create({ idempotencyKey: randomUUID() });
    const messages: readonly SubmitManifestRequest[] = [
      { part: { $case: "header", value: header } },
      { part: { $case: "renders", value: { renders: renders.slice(0, 2) } } },
      { part: { $case: "renders", value: { renders: renders.slice(2) } } },
    ];
    const send = (client: FarmServiceClient) => callClientStream(client.submitManifest.bind(client), messages, { deadlineMs: 30_000 });
    const of = "job j join render r on r.job_id = j.id where j.idempotency_key = $1";
    const stored = () => here.count(of, [header.idempotencyKey]);
    return {
      provoke: send,
      found: async (committed) => expect(await stored()).toBe(committed ? 3 : 0),
      async check() {
        const { job } = await send(here.client());
        expect(job?.renderCounts?.total).toBe(3);
        expect(await stored()).toBe(3);
        expect(await here.count("event where job_id = $1 and kind = 'job.submitted'", [job?.jobId])).toBe(1);
      },
    };
  },
  async cancel() {
    const jobId = await here.newJob();
    return {
      provoke: (doomed) => cancel(doomed, jobId),
      async check(committed) {
        expect(await stateOf(jobId)).toBe(committed ? JobState.JOB_STATE_CANCELLED : JobState.JOB_STATE_QUEUED);
        await cancel(here.client(), jobId);
        expect(await here.count("event where job_id = $1 and kind = 'job.cancelled'", [jobId])).toBe(1);
      },
    };
  },
  async retry() {
    const { jobId, claim } = await here.claimed();
    await here.worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    const retry = (client: FarmServiceClient) => call(client.retryJob.bind(client), RetryJobRequest.create({ jobId }));
    return {
      provoke: retry,
      async check(committed) {
        expect(await stateOf(jobId)).toBe(committed ? JobState.JOB_STATE_QUEUED : JobState.JOB_STATE_FAILED);
        if (!committed) await retry(here.client());
        expect(await stateOf(jobId)).toBe(JobState.JOB_STATE_QUEUED);
      },
    };
  },
  async rerun() {
    const { jobId, claim } = await here.claimed();
    await here.worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    const rerun = (client: FarmServiceClient) => call(client.retryTask.bind(client), RetryTaskRequest.create({ taskId: claim.taskId }));
    const generations = () => here.count("task t join task d on d.content_key = t.content_key where d.id = $1", [claim.taskId]);
    const before = await generations();
    return {
      provoke: rerun,
      async found(committed) {
        expect(await here.count("job where id = $1 and state = $2", [jobId, committed ? "queued" : "failed"])).toBe(1);
        expect(await generations()).toBe(committed ? before + 1 : before);
      },
      async check(committed) {
        if (!committed) await rerun(here.client());
        expect(await stateOf(jobId)).toBe(JobState.JOB_STATE_QUEUED);
        // What was retried once has no failed render any more.
        expect((await rerun(here.client())).retriedRenders).toBe(0);
        expect(await generations()).toBe(before + 1);
      },
    };
  },
  async update() {
    const jobId = await here.newJob();
    const request = UpdateJobRequest.create({ jobId, priority: 7, updateMask: ["priority"] });
    return {
      provoke: (doomed) => call(doomed.updateJob.bind(doomed), request),
      async check(committed) {
        expect((await getJob(here.client(), jobId)).priority).toBe(committed ? 7 : 0);
        await call(here.client().updateJob.bind(here.client()), request);
        expect((await getJob(here.client(), jobId)).priority).toBe(7);
      },
    };
  },
  async next() {
    await here.newJob();
    const payload = here.worker.nextPayload();
    return {
      provoke: () => here.worker.send(payload),
      async check() {
        const claim = present(claimOf(await here.worker.send(payload)));
        expect(await attemptsOf(claim)).toBe(claim.attemptNumber);
        expect(await here.count("attempt where session_id = $1 and state = 'running'", [here.worker.sessionId])).toBe(1);
      },
    };
  },
  async report() {
    const { claim } = await here.claimed();
    const report = [successOf(claim, await storeOutputs(here.farm.artifacts, claim))];
    return {
      provoke: () => here.worker.report(report),
      async check(committed) {
        const { outcome } = await here.worker.report(report);
        const dispositions = outcome?.$case === "answer" ? outcome.value.reportOutcomes.map(({ disposition }) => disposition) : [];
        const already = Disposition.ATTEMPT_REPORT_DISPOSITION_ALREADY_COMMITTED;
        expect(dispositions).toEqual([committed ? already : Disposition.ATTEMPT_REPORT_DISPOSITION_COMMITTED]);
        expect(await here.count("usage where attempt_id = $1", [claim.attemptId])).toBe(1);
      },
    };
  },
  async beat() {
    const { claim } = await here.claimed();
    return {
      provoke: () => here.worker.beat([claim.attemptId]),
      async check() {
        expect((await here.worker.beat([claim.attemptId])).outcome).toMatchObject({ $case: "answer" });
        expect(await here.count("attempt where id = $1 and state = 'running'", [claim.attemptId])).toBe(1);
      },
    };
  },
};

const points = pointsOf(crashes);

describe("a coordinator that dies in a call at", () => {
  it.each(points)(
    "%s leaves nothing half done, and another goes on",
    (point) => here.crashAt(point, crashes[callOf(point)]),
    crashTimeoutMs,
  );
});
