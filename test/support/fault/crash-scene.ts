/**
 * A coordinator that dies at a crash point (`VAPFARM_CRASH_AT`), and those before and after it.
 *
 * The doomed one is the real program, alone; the one before and after it runs in the test's process. Clocks are moved in the database.
 */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Timings } from "../../../services/coordinator/app-parts.ts";
import { type StoreCrashPoint, storeCrashPoints } from "../../../services/coordinator/store/crash-points.ts";
import { toFarmError } from "../../../services/domain/errors.ts";
import { AttemptReport, type TaskClaim } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { FarmServiceClient, type SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool, type Pool } from "../../../services/platform/database/pool.ts";
import { connectClient } from "../../../services/platform/grpc/client.ts";
import { checkFarm } from "../checker/check-farm.ts";
import { collectEvidence } from "../checker/collect-evidence.ts";
import { openJournals } from "../checker/journals.ts";
import type { Violation } from "../checker/violation.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../coordinator-farm.ts";
import { startCoordinatorProcess } from "../coordinator-process.ts";
import { cancel, type Media, renderRequest, submit, uploadMedia } from "../farm-calls.ts";
import { testFfmpegPath } from "../ffmpeg.ts";
import { type PlayedWorker, playWorker } from "../played-worker.ts";
import { until } from "../until.ts";
import { type Receiver, startReceiver } from "../webhook-receiver.ts";

export const crashTimeoutMs = 180_000;

const leaseMs = "120000";
const seldom = 3_600_000;
/** Of the one before: what is prepared is left to the doomed one. */
const quiet = {
  promotionMs: seldom,
  sweepMs: seldom,
  collectionMs: seldom,
  pruneMs: seldom,
  preemptionMs: seldom,
  deadlinesMs: seldom,
  healthMs: seldom,
  budgetMs: seldom,
  setScoresMs: seldom,
};
/** Renders that those that live keep open: others wait, for the doomed one, which keeps as many open as a farm does. */
const narrow = { VAPFARM_OPEN_RENDERS: "2" };

/** A crash at one point, before and after. */
export type Crash = {
  /** While no coordinator runs, and again until the doomed one has died: time that passes. */
  readonly pass?: () => Promise<unknown>;
  /** What makes the doomed one reach the point, where a start does not. It may be refused, or never answered. */
  readonly provoke?: (doomed: FarmServiceClient) => Promise<unknown>;
  /** Before another lives; `committed`: the point lies after the commit. */
  readonly found?: (committed: boolean) => Promise<void>;
  /** With one that lives again. */
  readonly check: (committed: boolean) => Promise<void>;
};

export type CrashScene = {
  readonly farm: CoordinatorFarm;
  readonly media: Media;
  readonly pool: Pool;
  readonly receiver: Receiver;
  readonly worker: PlayedWorker;
  /** Of the one that lives. */
  client(): FarmServiceClient;
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  count(from: string, values?: readonly unknown[]): Promise<number>;
  newJob(change?: Partial<SubmitRenderRequest>): Promise<string>;
  claimed(by?: PlayedWorker): Promise<{ readonly jobId: string; readonly claim: TaskClaim }>;
  /** What the checker says of the database, the artifacts and the copy of the events: programs that are played keep no journals. */
  violations(): Promise<readonly Violation[]>;
  crashAt(point: StoreCrashPoint, prepare: () => Promise<Crash>): Promise<void>;
  stop(): Promise<void>;
};

type Call = StoreCrashPoint extends `${infer Name}.${string}` ? Name : never;
/** What somebody asks for; all else is a duty's. */
export type RequestCall = Extract<Call, "submit" | "manifest" | "cancel" | "retry" | "rerun" | "update" | "next" | "report" | "beat">;
export type DutyCall = Exclude<Call, RequestCall>;

/** The call that a point is of. */
export const callOf = <Name extends Call>(point: `${Name}.${string}`): Name => point.slice(0, point.indexOf(".")) as Name;

/** The points of these calls. */
export function pointsOf<Name extends Call>(
  crashes: Readonly<Record<Name, unknown>>,
): readonly Extract<StoreCrashPoint, `${Name}.${string}`>[] {
  return storeCrashPoints.filter((point): point is Extract<StoreCrashPoint, `${Name}.${string}`> => callOf<Call>(point) in crashes);
}

/** A farm of one coordinator and one worker that the test plays. */
export async function startCrashScene(): Promise<CrashScene> {
  const farm = await startCoordinatorFarm();
  const receiver = await startReceiver((_message, response) => void response.writeHead(204).end(), false);
  const environment = await environmentOf(receiver);
  // It ends at once, for want of settings, and leaves what it compiled to those that die too suddenly for that.
  await startCoordinatorProcess({}).ended;
  const start = (timings: Partial<Timings>) => farm.start({ environment: { ...environment, ...narrow }, timings });
  let living: RunningCoordinator = await start(quiet);
  const media = await uploadMedia(living.client);
  const worker = await playWorker(farm.broker, farm.artifacts);
  const pool = openPool({ url: farm.databaseUrl, applicationName: "crash points", connections: 2 });
  const client = (): FarmServiceClient => living.client;
  const sql = async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> =>
    (await pool.query(text, [...values])).rows as readonly Row[];
  const newJob: CrashScene["newJob"] = async (change = {}) =>
    (await submit(client(), { ...renderRequest(media, { prompt: randomUUID() }), ...change })).jobId;
  return {
    farm,
    media,
    pool,
    receiver,
    worker,
    client,
    sql,
    count: async (from, values = []) => (await sql<{ n: number }>(`select count(*)::int as n from ${from}`, values))[0]?.n ?? 0,
    newJob,
    async claimed(by = worker) {
      const jobId = await newJob();
      return { jobId, claim: await by.claim() };
    },
    async crashAt(point, prepare) {
      const isCommitted = point.endsWith(".committed");
      const crash = await prepare();
      await living.stop();
      try {
        await crash.pass?.();
        await dieAt(point, crash, { ...farm.settings(), ...environment });
        await crash.found?.(isCommitted);
      } finally {
        await sql("update duty set until = clock_timestamp()");
        living = await start({});
      }
      await crash.check(isCommitted).finally(async () => {
        // What is left of the job would be the next test's to claim.
        for (const { id } of await sql<{ id: string }>("select id from job where state in ('queued', 'running')"))
          await cancel(client(), id);
        const left = "select id from attempt where session_id = $1 and state = 'running'";
        await worker.report((await sql<{ id: string }>(left, [worker.sessionId])).map(({ id }) => madeWay(id)));
        await living.stop();
        living = await start(quiet);
      });
    },
    async violations() {
      await until("the events are copied", async () => (await sql("select 1 from job where sent_event < last_event")).length === 0);
      return violationsOf(farm, pool);
    },
    async stop() {
      worker.stop();
      await pool.end();
      await farm.stop();
      await receiver.stop();
    },
  };
}

/** Ends it; the farm has kept its promises. */
export async function endKept(scene: CrashScene): Promise<void> {
  try {
    expect(await scene.violations()).toEqual([]);
  } finally {
    await scene.stop();
  }
}

/** The report of an attempt that was given back. */
export function madeWay(attemptId: string): AttemptReport {
  const value = { code: "STAGE_CANCELLED", message: "made way for another task", abandoned: true, badInputSha256: [], logTail: "" };
  return AttemptReport.create({ attemptId, outcome: { $case: "failure", value } });
}

async function environmentOf(receiver: Receiver): Promise<Readonly<Record<string, string>>> {
  const targets = [{ prefix: `http://127.0.0.1:${receiver.port}/`, privateAddresses: true }];
  return {
    VAPFARM_WEBHOOK_TARGETS: JSON.stringify(targets),
    VAPFARM_LEASE_MS: leaseMs,
    VAPFARM_PREEMPTION: '{"graceMs":0,"minRunMs":0,"leastLeftMs":0}',
    VAPFARM_FFMPEG: await testFfmpegPath(),
    VAPFARM_LOG_LEVEL: "silent",
  };
}

async function violationsOf({ artifactsFolder, nats }: CoordinatorFarm, database: Pool): Promise<readonly Violation[]> {
  const journals = await openJournals();
  try {
    const bounds = { leaseMs: Number(leaseMs) };
    return checkFarm(await collectEvidence({ database, artifactsFolder, natsUrl: nats.url, journalsFolder: journals.folder, bounds }));
  } finally {
    await journals.remove();
  }
}

/** Starts a coordinator that dies at the point, and waits for its death. */
async function dieAt(point: StoreCrashPoint, { pass, provoke }: Crash, settings: Readonly<Record<string, string>>): Promise<void> {
  const { process: doomed, ready } = startCoordinatorProcess({ ...settings, VAPFARM_CRASH_AT: point });
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
