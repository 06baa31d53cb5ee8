/**
 * A coordinator that dies at each of the commit points of its duties, by name (`VAPFARM_CRASH_AT`): before the commit nothing happened, after
 * it everything did, and either way another coordinator goes on by itself.
 */
import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BudgetAction, BudgetScope, SetBudgetRequest } from "../../services/gen/proto/vapfarm/v1/books.ts";
import { Level } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { JobClass, JobState, ManifestHeader, RetryJobRequest, Reuse, Webhook } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { callClientStream } from "../../services/platform/grpc/client.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { call, cancel, getJob, present, renderRequest, sha256Of, submit } from "../support/farm-calls.ts";
import {
  callOf,
  type Crash,
  type CrashScene,
  crashTimeoutMs,
  endKept,
  type DutyCall,
  madeWay,
  pointsOf,
  startCrashScene,
} from "../support/fault/crash-scene.ts";
import { claimOf, failureOf, playWorker, storeOutputs, successOf } from "../support/played-worker.ts";
import { once, plantArtifact, storeBytes } from "../support/planted-artifact.ts";
import { until } from "../support/until.ts";

let here: CrashScene;
beforeAll(async () => {
  here = await startCrashScene();
}, crashTimeoutMs);
afterAll(() => endKept(here), crashTimeoutMs);

/** Uses of tasks by a job's renders. */
const usesOf = "task_user u join render x on x.id = u.render_id where x.job_id = $1";
/** Of a render of the demo model with one reference. */
const stages = 10;
/** What was added up and what waits to be, against the entries. */
const balance = `select (select coalesce(sum(device_us), 0) from usage_total) + (select coalesce(sum(device_us), 0) from usage_due)
  = (select coalesce(sum(amount), 0) from usage_entry where counter = 'device_us') as is_equal`;

/** As many renders as may be open; gives the way to be rid of them. */
async function fillWindow(): Promise<() => Promise<unknown>> {
  const jobIds = [await here.newJob(), await here.newJob()];
  return () => Promise.all(jobIds.map((jobId) => cancel(here.client(), jobId)));
}

/** Two renders that wait, since others are open. */
async function waitingJob() {
  const makeRoom = await fillWindow();
  const renders = [1, 2].map(() => present(renderRequest(here.media, { prompt: randomUUID() }).render));
  const messages = [
    { part: { $case: "header", value: ManifestHeader.create() } },
    { part: { $case: "renders", value: { renders } } },
  ] as const;
  const client = here.client();
  const { job } = await callClientStream(client.submitManifest.bind(client), messages, { deadlineMs: 30_000 });
  const { jobId } = present(job);
  expect(await here.count("render where job_id = $1 and is_waiting", [jobId])).toBe(2);
  return { jobId, makeRoom };
}

async function storeCheckpoint(text: string) {
  const bytes = Buffer.from(text);
  await storeBytes(here.farm, bytes);
  return { sha256: sha256Of(bytes), sizeBytes: BigInt(bytes.length), step: 1 };
}

const crashes: Readonly<Record<DutyCall, () => Promise<Crash>>> = {
  async canary() {
    const [before] = await here.sql<{ at: Date }>("select last_at as at from canary");
    return { check: () => until("it beats again", async () => (await here.count("canary where last_at > $1", [before?.at])) === 1) };
  },
  async reap() {
    const other = await playWorker(here.farm.broker, here.farm.artifacts);
    const { claim } = await here.claimed(other);
    other.stop();
    const pass = async (): Promise<void> => {
      await here.sql("update session set lease_until = clock_timestamp() - interval '1 second' where id = $1 and is_live", [
        other.sessionId,
      ]);
      await here.sql("update canary set unbroken_since = clock_timestamp() - interval '1 day'");
    };
    return {
      pass,
      async check(committed) {
        const lost = () => here.count("attempt where id = $1 and state = 'lost'", [claim.attemptId]);
        expect(await lost()).toBe(committed ? 1 : 0);
        await until("it is reaped", async () => (await pass(), (await lost()) === 1));
        expect(await here.count("ready where task_id = $1", [claim.taskId])).toBe(1);
        expect(await here.count("usage where attempt_id = $1", [claim.attemptId])).toBe(1);
      },
    };
  },
  async promote() {
    const { claim } = await here.claimed();
    await here.worker.report([failureOf(claim, "STAGE_FAILED")]);
    const state = async (): Promise<string> =>
      (await here.sql<{ state: string }>("select state from task where id = $1", [claim.taskId]))[0]?.state ?? "";
    return {
      pass: () => here.sql("update task set delayed_until = clock_timestamp() where id = $1 and state = 'delayed'", [claim.taskId]),
      async check() {
        await until("it is ready", async () => (await state()) === "ready");
        expect(await here.count("ready where task_id = $1", [claim.taskId])).toBe(1);
      },
    };
  },
  async sweep() {
    const jobId = await here.newJob();
    const ready = "ready where task_id in (select u.task_id from render r join task_user u on u.render_id = r.id where r.job_id = $1)";
    const before = await here.count(ready, [jobId]);
    return {
      // A living one's rounds would take before the doomed one's what is planted while it runs.
      pass: once(() => here.sql(`delete from ${ready}`, [jobId])),
      check: () => until("it is repaired", async () => (await here.count(ready, [jobId])) === before),
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async relay() {
    const request = { ...renderRequest(here.media, { prompt: randomUUID() }), idempotencyKey: randomUUID() };
    return {
      provoke: (doomed) => submit(doomed, request),
      async check() {
        const { jobId, lastEventNumber } = await submit(here.client(), request);
        await until(
          "its events are copied",
          async () => (await here.count("job where id = $1 and sent_event = last_event", [jobId])) === 1,
        );
        const subjects = subjectsOf("local");
        const subject = subjects.events(jobId);
        const { streams } = await jetstreamManager(here.farm.broker.connection);
        const { state } = await streams.info(subjects.eventStream, { subjects_filter: subject });
        expect(state.subjects).toEqual({ [subject]: Number(lastEventNumber) });
      },
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async condemn() {
    const sha256 = sha256Of(Buffer.from(randomUUID()));
    return {
      pass: once(() => plantArtifact(here.pool, sha256, "null")),
      check: () =>
        until("it is condemned", async () => (await here.count("artifact where sha256 = $1 and condemned_at is not null", [sha256])) === 1),
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async collect() {
    const bytes = Buffer.from(randomUUID());
    const sha256 = sha256Of(bytes);
    return {
      pass: once(async () => {
        await storeBytes(here.farm, bytes);
        await plantArtifact(here.pool, sha256, "clock_timestamp() - interval '2 days'");
        await here.sql("update duty set until = clock_timestamp() where name = 'collection'"); // who died before may hold it
      }),
      async check() {
        await until("its row is gone", async () => (await here.count("artifact where sha256 = $1", [sha256])) === 0);
        expect(await here.farm.artifacts.stat(sha256)).toBeUndefined();
      },
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async prune() {
    const id = randomUUID();
    const plant = (): Promise<unknown> =>
      here.sql(
        `insert into session (id, worker_id, pool, is_live, end_reason, lease_until, last_heard_at, ended_at)
         select $1, 'gone', 'test', false, 'stopped', at, at, at from (select clock_timestamp() - interval '2 days' as at) long_ago`,
        [id],
      );
    return { pass: once(plant), check: () => until("it is pruned", async () => (await here.count("session where id = $1", [id])) === 0) };
  },
  async webhook() {
    const webhook = Webhook.create({
      url: `http://127.0.0.1:${here.receiver.port}/hook`,
      secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
    });
    const jobId = await here.newJob({ webhook });
    const told = () => here.receiver.received.map(({ headers }) => String(headers["webhook-id"])).filter((id) => id.startsWith(jobId));
    return {
      provoke: (doomed) => cancel(doomed, jobId),
      async check(committed) {
        const delivered = "webhook_delivery where job_id = $1 and delivered_at is not null";
        await until("the delivery is recorded", async () => (await here.count(delivered, [jobId])) === 1);
        expect(told()).toHaveLength(committed ? 1 : 2);
        expect(new Set(told()).size).toBe(1);
      },
    };
  },
  async expand() {
    const { jobId, makeRoom } = await waitingJob();
    const expanded = "render r where r.job_id = $1 and not r.is_waiting and exists (select 1 from task_user u where u.render_id = r.id)";
    return {
      async found(committed) {
        expect(await here.count(expanded, [jobId])).toBe(committed ? 2 : 0);
        expect(await here.count("render where job_id = $1 and is_waiting", [jobId])).toBe(committed ? 0 : 2);
        expect(await here.count(usesOf, [jobId])).toBe(committed ? 2 * stages : 0);
      },
      async check() {
        await makeRoom();
        await until("both are expanded", async () => (await here.count(expanded, [jobId])) === 2);
        expect(await here.count(usesOf, [jobId])).toBe(2 * stages);
        expect(await here.count(`ready where task_id in (select u.task_id from ${usesOf})`, [jobId])).toBeGreaterThan(0);
      },
    };
  },
  async again() {
    const { jobId, claim } = await here.claimed();
    await here.worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    const makeRoom = await fillWindow();
    await call(here.client().retryJob.bind(here.client()), RetryJobRequest.create({ jobId }));
    const waits = () => here.count("render where job_id = $1 and is_waiting", [jobId]);
    expect(await waits()).toBe(1);
    return {
      async found() {
        expect(await waits()).toBe(0);
        expect(await here.count(`ready where task_id in (select u.task_id from ${usesOf})`, [jobId])).toBeGreaterThan(0);
      },
      async check() {
        await makeRoom();
        expect((await getJob(here.client(), jobId)).state).toBe(JobState.JOB_STATE_QUEUED);
        const next = await here.worker.claim();
        expect(next.jobIds).toEqual([jobId]);
      },
    };
  },
  async fail() {
    const { jobId, makeRoom } = await waitingJob();
    return {
      pass: once(() => here.sql("update render set model_digest = repeat('0', 64) where job_id = $1", [jobId])),
      async found() {
        expect(await here.count("render where job_id = $1 and state = 'failed' and not is_waiting", [jobId])).toBe(2);
        expect(await here.count("job where id = $1 and state = 'failed' and render_failed = 2", [jobId])).toBe(1);
      },
      async check() {
        await makeRoom();
        expect((await getJob(here.client(), jobId)).failure?.code).toBe("MODEL_CHANGED");
        expect(await here.count("event where job_id = $1 and kind = 'job.failed'", [jobId])).toBe(1);
        expect(await here.count("waiting where job_id = $1", [jobId])).toBe(0);
      },
    };
  },
  async preempt() {
    const long = await here.newJob({ jobClass: JobClass.JOB_CLASS_BENCHMARK });
    const claim = await here.worker.claim();
    const { attemptId } = claim;
    const checkpoint = await storeCheckpoint(attemptId);
    const announced = { sha256: checkpoint.sha256, sizeBytes: checkpoint.sizeBytes, name: "checkpoint", mediaType: "text/plain" };
    await here.worker.beat([attemptId], { announcedArtifacts: [announced] });
    await here.worker.beat([attemptId], { checkpoint, deviceMs: 600_000 });
    // Of its own: else the run's task would be one of its tasks.
    const urgent = await here.newJob({ reuse: Reuse.REUSE_NONE });
    const opened = () => here.count("preemption where attempt_id = $1 and closed_at is null", [attemptId]);
    const told = () => here.count("event where job_id = $1 and kind = 'task.preempted'", [long]);
    return {
      async found(committed) {
        expect(await opened()).toBe(committed ? 1 : 0);
        expect(await here.count("attempt where id = $1 and state = 'running'", [attemptId])).toBe(1);
      },
      async check() {
        await until("it makes way", async () => (await opened()) === 1);
        const beat = await here.worker.beat([attemptId], { deviceMs: 600_000 });
        expect(beat.outcome).toMatchObject({ value: { levels: [{ level: Level.LEVEL_PREEMPT }] } });
        const given = claimOf(await here.worker.next({ reports: [madeWay(attemptId)] }));
        expect(given?.jobIds).toEqual([urgent]);
        expect(await here.count("preemption where attempt_id = $1 and outcome = 'given'", [attemptId])).toBe(1);
        expect(await told()).toBe(1);
      },
    };
  },
  async deadline() {
    const jobId = await here.newJob({ deadline: new Date(Date.now() + 600_000) });
    const told = () => here.count("event where job_id = $1 and kind = 'job.deadline_missed'", [jobId]);
    return {
      pass: once(() => here.sql("update job set deadline = clock_timestamp() - interval '1 second' where id = $1", [jobId])),
      found: async () => expect(await told()).toBe(1),
      async check() {
        await until("its event is copied", async () => (await here.count("job where id = $1 and sent_event = last_event", [jobId])) === 1);
        expect(await told()).toBe(1);
      },
    };
  },
  async judge() {
    const judgedWorker = await playWorker(here.farm.broker, here.farm.artifacts);
    const { workerId } = judgedWorker;
    await judgedWorker.next();
    judgedWorker.stop();
    const judged = (state: string, verdict: number) =>
      here.count("worker_health where worker_id = $1 and state = $2 and verdict = $3", [workerId, state, verdict]);
    const suspend = `insert into worker_health (worker_id, state, reason, spells, since, ends_at, verdict, software_version, profile)
      select w.id, 'suspended', 'planted', 1, at - interval '2 hours', at - interval '1 hour', 1, w.software_version, w.profile
      from worker w, clock_timestamp() at where w.id = $1`;
    return {
      pass: once(() => here.sql(suspend, [workerId])),
      async found(committed) {
        expect(await judged("suspended", 1)).toBe(committed ? 0 : 1);
        expect(await judged("probation", 2)).toBe(committed ? 1 : 0);
      },
      check: () => until("it is on probation, by one verdict", async () => (await judged("probation", 2)) === 1),
    };
  },
  async total() {
    const { jobId, claim } = await here.claimed();
    await here.worker.report([successOf(claim, await storeOutputs(here.farm.artifacts, claim))]);
    const added = () => here.count("job_usage where job_id = $1 and device_us = 5000", [jobId]);
    const balanced = async () => expect(await here.sql(balance)).toEqual([{ is_equal: true }]);
    return {
      async found(committed) {
        expect(await added()).toBe(committed ? 1 : 0);
        await balanced();
      },
      async check() {
        await until("it is added up", async () => (await added()) === 1);
        await balanced();
      },
    };
  },
  async budget() {
    const jobId = await here.newJob();
    const limit = { $case: "gpuSeconds", value: 0 } as const;
    const action = BudgetAction.BUDGET_ACTION_STOP;
    const budget = SetBudgetRequest.create({ scope: BudgetScope.BUDGET_SCOPE_JOB, name: jobId, limit, action });
    await call(here.client().setBudget.bind(here.client()), budget);
    const stops = () => here.count("job_stop where job_id = $1", [jobId]);
    const ready = () => here.count(`ready where task_id in (select u.task_id from ${usesOf})`, [jobId]);
    return {
      async found(committed) {
        expect(await stops()).toBe(committed ? 1 : 0);
        if (committed) expect(await ready()).toBe(0);
        else expect(await ready()).toBeGreaterThan(0);
      },
      async check() {
        await until("it is stopped", async () => (await stops()) === 1);
        expect(await ready()).toBe(0);
      },
    };
  },
};

const points = pointsOf(crashes);

describe("a coordinator that dies in a duty at", () => {
  it.each(points)(
    "%s leaves nothing half done, and another goes on",
    (point) => here.crashAt(point, crashes[callOf(point)]),
    crashTimeoutMs,
  );
});
