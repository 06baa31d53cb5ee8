/**
 * A coordinator that dies at each of its commit points, by name (`VAPFARM_CRASH_AT`): before the commit nothing happened, after it everything
 * did, and either way another coordinator goes on, with what a client or worker says again.
 *
 * The doomed one is the real program, alone; the one before and after it runs in the test's process. Clocks are moved in the database.
 */
import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StoreCrashPoint, storeCrashPoints } from "../../services/coordinator/store/crash-points.ts";
import { toFarmError } from "../../services/domain/errors.ts";
import { AttemptReportDisposition as Disposition, type TaskClaim } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { FarmServiceClient, JobState, RetryJobRequest, UpdateJobRequest, Webhook } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool, type Pool } from "../../services/platform/database/pool.ts";
import { connectClient } from "../../services/platform/grpc/client.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../support/coordinator-farm.ts";
import { startCoordinatorProcess } from "../support/coordinator-process.ts";
import { compileCache } from "../support/compile-cache.ts";
import { call, cancel, getJob, type Media, present, renderRequest, sha256Of, submit, uploadMedia } from "../support/farm-calls.ts";
import { testFfmpegPath } from "../support/ffmpeg.ts";
import { claimOf, failureOf, type PlayedWorker, playWorker, storeOutputs, successOf } from "../support/played-worker.ts";
import { once, plantArtifact, storeBytes } from "../support/planted-artifact.ts";
import { until } from "../support/until.ts";
import { type Receiver, startReceiver } from "../support/webhook-receiver.ts";

const timeoutMs = 180_000;
const seldom = 3_600_000;
const timings = { promotionMs: seldom, sweepMs: seldom, collectionMs: seldom, pruneMs: seldom };

let farm: CoordinatorFarm;
let living: RunningCoordinator;
let worker: PlayedWorker;
let receiver: Receiver;
let media: Media;
let pool: Pool;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  receiver = await startReceiver((_message, response) => void response.writeHead(204).end(), false);
  const targets = [{ prefix: `http://127.0.0.1:${receiver.port}/`, privateAddresses: true }];
  environment = {
    ...compileCache,
    VAPFARM_WEBHOOK_TARGETS: JSON.stringify(targets),
    VAPFARM_LEASE_MS: "120000",
    VAPFARM_FFMPEG: await testFfmpegPath(),
    VAPFARM_LOG_LEVEL: "silent",
  };
  // It ends at once, for want of settings, and leaves what it compiled to those that die too suddenly for that.
  await startCoordinatorProcess(compileCache).ended;
  living = await farm.start({ environment, timings });
  media = await uploadMedia(living.client);
  worker = await playWorker(farm.broker, farm.artifacts);
  pool = openPool({ url: farm.databaseUrl, applicationName: "crash points", connections: 2 });
}, timeoutMs);
afterAll(async () => {
  worker.stop();
  await pool.end();
  await farm.stop();
  await receiver.stop();
});

async function sql<Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return (await pool.query(text, [...values])).rows as readonly Row[];
}

async function count(from: string, values: readonly unknown[] = []): Promise<number> {
  return (await sql<{ n: number }>(`select count(*)::int as n from ${from}`, values))[0]?.n ?? 0;
}

/** A crash at one point, before and after. */
type Crash = {
  /** While no coordinator runs, and again until the doomed one has died: time that passes. */
  readonly pass?: () => Promise<unknown>;
  /** What makes the doomed one reach the point, where a start does not. It may be refused, or never answered. */
  readonly provoke?: (doomed: FarmServiceClient) => Promise<unknown>;
  /** With one that lives again; `committed`: the point lies after the commit. */
  readonly check: (committed: boolean) => Promise<void>;
};

type Call = StoreCrashPoint extends `${infer Name}.${string}` ? Name : never;
const newJob = async (change: { readonly webhook?: Webhook } = {}): Promise<string> =>
  (await submit(living.client, { ...renderRequest(media, { prompt: randomUUID() }), ...change })).jobId;

async function claimed(by = worker): Promise<{ readonly jobId: string; readonly claim: TaskClaim }> {
  const jobId = await newJob();
  return { jobId, claim: await by.claim() };
}

const attemptsOf = ({ taskId }: TaskClaim): Promise<number> => count("attempt where task_id = $1", [taskId]);
const stateOf = async (jobId: string) => (await getJob(living.client, jobId)).state;

const crashes: Readonly<Record<Call, () => Promise<Crash>>> = {
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async submit() {
    const request = { ...renderRequest(media, { prompt: randomUUID() }), idempotencyKey: randomUUID() };
    const stored = () => count("job where idempotency_key = $1", [request.idempotencyKey]);
    return {
      provoke: (doomed) => submit(doomed, request),
      async check(committed) {
        expect(await stored()).toBe(committed ? 1 : 0);
        await submit(living.client, request);
        expect(await stored()).toBe(1);
      },
    };
  },
  async cancel() {
    const jobId = await newJob();
    return {
      provoke: (doomed) => cancel(doomed, jobId),
      async check(committed) {
        expect(await stateOf(jobId)).toBe(committed ? JobState.JOB_STATE_CANCELLED : JobState.JOB_STATE_QUEUED);
        await cancel(living.client, jobId);
        expect(await count("event where job_id = $1 and kind = 'job.cancelled'", [jobId])).toBe(1);
      },
    };
  },
  async retry() {
    const { jobId, claim } = await claimed();
    await worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    const retry = (client: FarmServiceClient) => call(client.retryJob.bind(client), RetryJobRequest.create({ jobId }));
    return {
      provoke: retry,
      async check(committed) {
        expect(await stateOf(jobId)).toBe(committed ? JobState.JOB_STATE_QUEUED : JobState.JOB_STATE_FAILED);
        if (!committed) await retry(living.client);
        expect(await stateOf(jobId)).toBe(JobState.JOB_STATE_QUEUED);
      },
    };
  },
  async update() {
    const jobId = await newJob();
    const request = UpdateJobRequest.create({ jobId, priority: 7, updateMask: ["priority"] });
    return {
      provoke: (doomed) => call(doomed.updateJob.bind(doomed), request),
      async check(committed) {
        expect((await getJob(living.client, jobId)).priority).toBe(committed ? 7 : 0);
        await call(living.client.updateJob.bind(living.client), request);
        expect((await getJob(living.client, jobId)).priority).toBe(7);
      },
    };
  },
  async next() {
    await newJob();
    const payload = worker.nextPayload();
    return {
      provoke: () => worker.send(payload),
      async check() {
        const claim = present(claimOf(await worker.send(payload)));
        expect(await attemptsOf(claim)).toBe(claim.attemptNumber);
        expect(await count("attempt where session_id = $1 and state = 'running'", [worker.sessionId])).toBe(1);
      },
    };
  },
  async report() {
    const { claim } = await claimed();
    const report = [successOf(claim, await storeOutputs(farm.artifacts, claim))];
    return {
      provoke: () => worker.report(report),
      async check(committed) {
        const { outcome } = await worker.report(report);
        const dispositions = outcome?.$case === "answer" ? outcome.value.reportOutcomes.map(({ disposition }) => disposition) : [];
        const already = Disposition.ATTEMPT_REPORT_DISPOSITION_ALREADY_COMMITTED;
        expect(dispositions).toEqual([committed ? already : Disposition.ATTEMPT_REPORT_DISPOSITION_COMMITTED]);
        expect(await count("usage where attempt_id = $1", [claim.attemptId])).toBe(1);
      },
    };
  },
  async beat() {
    const { claim } = await claimed();
    return {
      provoke: () => worker.beat([claim.attemptId]),
      async check() {
        expect((await worker.beat([claim.attemptId])).outcome).toMatchObject({ $case: "answer" });
        expect(await count("attempt where id = $1 and state = 'running'", [claim.attemptId])).toBe(1);
      },
    };
  },
  async canary() {
    const [before] = await sql<{ at: Date }>("select last_at as at from canary");
    return { check: () => until("it beats again", async () => (await count("canary where last_at > $1", [before?.at])) === 1) };
  },
  async reap() {
    const other = await playWorker(farm.broker, farm.artifacts);
    const { claim } = await claimed(other);
    other.stop();
    const pass = async (): Promise<void> => {
      await sql("update session set lease_until = clock_timestamp() - interval '1 second' where id = $1 and is_live", [other.sessionId]);
      await sql("update canary set unbroken_since = clock_timestamp() - interval '1 day'");
    };
    return {
      pass,
      async check(committed) {
        const lost = () => count("attempt where id = $1 and state = 'lost'", [claim.attemptId]);
        expect(await lost()).toBe(committed ? 1 : 0);
        await until("it is reaped", async () => (await pass(), (await lost()) === 1));
        expect(await count("ready where task_id = $1", [claim.taskId])).toBe(1);
        expect(await count("usage where attempt_id = $1", [claim.attemptId])).toBe(1);
      },
    };
  },
  async promote() {
    const { claim } = await claimed();
    await worker.report([failureOf(claim, "STAGE_FAILED")]);
    const state = async (): Promise<string> =>
      (await sql<{ state: string }>("select state from task where id = $1", [claim.taskId]))[0]?.state ?? "";
    return {
      pass: () => sql("update task set delayed_until = clock_timestamp() where id = $1 and state = 'delayed'", [claim.taskId]),
      async check() {
        await until("it is ready", async () => (await state()) === "ready");
        expect(await count("ready where task_id = $1", [claim.taskId])).toBe(1);
      },
    };
  },
  async sweep() {
    const jobId = await newJob();
    const ready = "ready where task_id in (select u.task_id from render r join task_user u on u.render_id = r.id where r.job_id = $1)";
    const before = await count(ready, [jobId]);
    return {
      // A living one's rounds would take before the doomed one's what is planted while it runs.
      pass: once(() => sql(`delete from ${ready}`, [jobId])),
      check: () => until("it is repaired", async () => (await count(ready, [jobId])) === before),
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async relay() {
    const request = { ...renderRequest(media, { prompt: randomUUID() }), idempotencyKey: randomUUID() };
    return {
      provoke: (doomed) => submit(doomed, request),
      async check() {
        const { jobId, lastEventNumber } = await submit(living.client, request);
        await until("its events are copied", async () => (await count("job where id = $1 and sent_event = last_event", [jobId])) === 1);
        const subjects = subjectsOf("local");
        const subject = subjects.events(jobId);
        const { streams } = await jetstreamManager(farm.broker.connection);
        const { state } = await streams.info(subjects.eventStream, { subjects_filter: subject });
        expect(state.subjects).toEqual({ [subject]: Number(lastEventNumber) });
      },
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async condemn() {
    const sha256 = sha256Of(Buffer.from(randomUUID()));
    return {
      pass: once(() => plantArtifact(pool, sha256, "null")),
      check: () =>
        until("it is condemned", async () => (await count("artifact where sha256 = $1 and condemned_at is not null", [sha256])) === 1),
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async collect() {
    const bytes = Buffer.from(randomUUID());
    const sha256 = sha256Of(bytes);
    return {
      pass: once(async () => {
        await storeBytes(farm, bytes);
        await plantArtifact(pool, sha256, "clock_timestamp() - interval '2 days'");
        await sql("update duty set until = clock_timestamp() where name = 'collection'"); // who died before may hold it
      }),
      async check() {
        await until("its row is gone", async () => (await count("artifact where sha256 = $1", [sha256])) === 0);
        expect(await farm.artifacts.stat(sha256)).toBeUndefined();
      },
    };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- as the others
  async prune() {
    const id = randomUUID();
    const plant = (): Promise<unknown> =>
      sql(
        `insert into session (id, worker_id, pool, is_live, end_reason, lease_until, last_heard_at, ended_at)
         select $1, 'gone', 'test', false, 'stopped', at, at, at from (select clock_timestamp() - interval '2 days' as at) long_ago`,
        [id],
      );
    return { pass: once(plant), check: () => until("it is pruned", async () => (await count("session where id = $1", [id])) === 0) };
  },
  async webhook() {
    const webhook = Webhook.create({
      url: `http://127.0.0.1:${receiver.port}/hook`,
      secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
    });
    const jobId = await newJob({ webhook });
    const told = () => receiver.received.map(({ headers }) => String(headers["webhook-id"])).filter((id) => id.startsWith(jobId));
    return {
      provoke: (doomed) => cancel(doomed, jobId),
      async check(committed) {
        const delivered = "webhook_delivery where job_id = $1 and delivered_at is not null";
        await until("the delivery is recorded", async () => (await count(delivered, [jobId])) === 1);
        expect(told()).toHaveLength(committed ? 1 : 2);
        expect(new Set(told()).size).toBe(1);
      },
    };
  },
};

/** Starts a coordinator that dies at the point, and waits for its death. */
async function dieAt(point: StoreCrashPoint, { pass, provoke }: Crash): Promise<void> {
  const { process: doomed, ready } = startCoordinatorProcess({ ...farm.settings(), ...environment, VAPFARM_CRASH_AT: point });
  const hasDied = (): boolean => doomed.exitCode !== null || doomed.signalCode !== null;
  void ready.then(async ({ grpcAddress }) => {
    const client = connectClient(FarmServiceClient, grpcAddress, 4 * 1024 ** 2);
    // Nobody answers any more: what was asked is refused, or its time runs out after the test. What a busy database refuses is asked again.
    while (provoke !== undefined && !hasDied()) await provoke(client).catch((thrown: unknown) => toFarmError(thrown));
    client.close();
  });
  try {
    await until(
      `the coordinator dies at ${point}`,
      async () => {
        await pass?.();
        return hasDied();
      },
      90_000,
    );
    expect(doomed.signalCode).toBe("SIGKILL");
  } finally {
    doomed.kill("SIGKILL");
  }
}

describe("a coordinator that dies at", () => {
  it.each(storeCrashPoints)(
    "%s leaves nothing half done, and another goes on",
    async (point) => {
      const [name, moment] = point.split(".") as [Call, string];
      const crash = await crashes[name]();
      await living.stop();
      await crash.pass?.();
      await dieAt(point, crash).finally(async () => {
        await sql("update duty set until = clock_timestamp()");
        living = await farm.start({ environment, timings });
      });
      await crash.check(moment === "committed");
      // What is left of the job would be the next test's to claim.
      for (const { id } of await sql<{ id: string }>("select id from job where state in ('queued', 'running')"))
        await cancel(living.client, id);
    },
    timeoutMs,
  );
});
