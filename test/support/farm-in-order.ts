/**
 * A scripted farm where everything is in order: an answer for every call, with a job, a render and a worker in it.
 */
import {
  JobClass,
  JobEvent,
  JobState,
  Render,
  type SubmitManifestRequest,
  TaskState,
  Worker,
  WorkerState,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { Budget, BudgetLevel, Price } from "../../services/gen/proto/vapfarm/v1/books.ts";
import {
  FailedTask,
  ConstraintKind,
  Farm,
  GetUsageResponse,
  Hold,
  HoldScope,
  Model,
  Tenant,
} from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { benchHandlers } from "./bench-handlers.ts";
import { modelHandlers } from "./model-handlers.ts";
import { type Handlers, scriptedDownload, scriptedJob, scriptedUploads } from "./scripted-farm.ts";

/** When its jobs were created. */
export const created = new Date(Date.now() - 3_600_000);
const job = scriptedJob({
  createTime: created,
  jobClass: JobClass.JOB_CLASS_PRODUCTION,
  render: {
    model: "demo",
    prompt: "月が昇る and a very long prompt that no terminal of eighty columns has any room for",
    seed: 7n,
    steps: 4,
  },
  renderCounts: { total: 1, succeeded: 1 },
  tasks: [{ taskId: 1n, stage: "denoise", state: TaskState.TASK_STATE_SUCCEEDED, attempts: 1, computeMs: 1500, workerName: "worker-1" }],
});
const render = Render.create({
  jobId: "job-1",
  position: 2,
  state: JobState.JOB_STATE_SUCCEEDED,
  artifacts: [{ name: "mp4", sha256: "ab", sizeBytes: 12n, mediaType: "video/mp4" }],
});
const worker = Worker.create({
  workerId: "id-1",
  name: "worker-1",
  state: WorkerState.WORKER_STATE_BUSY,
  running: [{ stage: "denoise" }],
  cordon: {},
});
const tenant = Tenant.create({ name: "studio", weight: 2, maxRunning: 4, runningTasks: 1, shares: [{ pool: "test", deviceMs: 61_000 }] });
const failedTask = FailedTask.create({
  taskId: 12n,
  stage: "denoise",
  pool: "test",
  model: "demo",
  code: "SUSPECTED_POISON",
  message: "3 times without a known cause",
  remedy: "look at its attempts",
  endTime: created,
  attempts: [
    {
      number: 1,
      workerName: "worker-1",
      outcome: "failed",
      code: "RUNTIME_DIED",
      errorClass: "unexplained",
      message: "it ended",
      logTail: "early\nsegfault\n",
    },
    { number: 2, workerName: "worker-2", outcome: "lost", code: "LEASE_LAPSED", errorClass: "unexplained", message: "the lease ran out" },
  ],
  renders: [{ jobId: "job-1", position: 2 }],
  renderCount: 1,
});
const price = Price.create({
  pool: "gpu",
  perHour: { currencyCode: "EUR", units: 2n, nanos: 500_000_000 },
  startTime: created,
  setBy: "ops",
});
const budget = Budget.create({
  scope: 1,
  name: "studio-a",
  tenant: "studio-a",
  limit: { $case: "money", value: { currencyCode: "EUR", units: 500n, nanos: 0 } },
  spent: { $case: "spentMoney", value: { currencyCode: "EUR", units: 500n, nanos: 120_000_000 } },
  period: 2,
  action: 1,
  level: BudgetLevel.BUDGET_LEVEL_REACHED,
  reason: "the first quarter",
});
/** What its one artifact holds. */
export const bytes = Buffer.from("twelve bytes");

/** The answers, new for each farm that is started. */
export function answersInOrder(): Handlers {
  let looks = 0;
  return {
    ...scriptedUploads([]),
    ...modelHandlers(),
    ...scriptedDownload(bytes, { chunkBytes: 5, cutAfter: [] }),
    submitRender: () => ({ job }),
    submitRenders: () => ({ job, outcomes: [{ index: 0, outcome: { $case: "position", value: 0 } }] }),
    async submitManifest(messages: AsyncIterable<SubmitManifestRequest>) {
      let renderCount = 0;
      for await (const { part } of messages) if (part?.$case === "renders") renderCount += part.value.renders.length;
      return { job, renderCount, wrongCount: 0, faults: [] };
    },
    getJob: () => ({ job }),
    listJobs: () => ({ jobs: [job], nextPageToken: "" }),
    getRender: () => ({ render }),
    listRenders: () => ({ renders: [render], nextPageToken: "" }),
    listEvents: () => ({ events: [], hasMore: false }),
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async *watchJob() {
      yield {
        update: { $case: "event", value: JobEvent.create({ number: 3n, kind: "job.succeeded", jobState: JobState.JOB_STATE_SUCCEEDED }) },
      };
    },
    cancelJob: () => ({ job }),
    cancelRender: () => ({ render }),
    retryJob: () => ({ job, retriedRenders: 2 }),
    retryRender: () => ({ render }),
    updateJob: () => ({ job }),
    explainJob: () => ({
      waitingRenders: [],
      state: JobState.JOB_STATE_QUEUED,
      summary: "waits for a worker",
      openTasks: 3,
      tasks: [
        {
          taskId: 1n,
          stage: "denoise",
          label: "",
          renderPosition: 0,
          pool: "test",
          constraints: [{ kind: ConstraintKind.CONSTRAINT_KIND_WORKERS_BUSY, message: "2 of 2 are busy", remedy: "start more" }],
        },
      ],
    }),
    listFailures: () => ({ failures: [failedTask], nextPageToken: "" }),
    retryTask: () => ({ retriedRenders: 2, leftRenders: 1, jobIds: ["job-1"] }),
    clearWorker: () => ({ worker }),
    placeHold: () => ({ hold: Hold.create({ scope: HoldScope.HOLD_SCOPE_POOL, name: "gpu", reason: "repair" }) }),
    releaseHold: () => ({ released: true }),
    listHolds: () => ({ holds: [] }),
    listTenants: () => ({ tenants: [tenant] }),
    updateTenant: () => ({ tenant }),
    getArtifactUrl: () => ({ url: "http://farm/a/x", expireTime: created }),
    listWorkers: () => ({ workers: [worker] }),
    getWorker() {
      looks += 1;
      return { worker: { ...worker, running: looks % 2 === 1 ? worker.running : [] } };
    },
    cordonWorker: () => ({ worker }),
    uncordonWorker: () => ({ worker }),
    drainWorker: () => ({ worker }),
    getFarm: () => ({
      farm: Farm.create({
        name: "local",
        version: "9.9.9",
        pools: [{ name: "test", profile: "cpu", queues: [{ stage: "denoise", ready: 4, oldestReadyMs: 90_000 }] }],
      }),
    }),
    listModels: () => ({ models: [Model.create({ name: "demo", width: 64, height: 48 })] }),
    getModel: () => ({ model: Model.create({ name: "demo" }) }),
    getUsage: () =>
      GetUsageResponse.create({
        rows: [{ keys: ["a", "denoise"], attempts: 3n, deviceMs: 61_000 }],
        total: { attempts: 3n, deviceMs: 61_000, cost: { currencyCode: "EUR", units: 1n, nanos: 250_000_000 } },
      }),
    setPrice: () => ({ price }),
    listPrices: () => ({ prices: [price] }),
    setBudget: () => ({ budget }),
    listBudgets: () => ({ budgets: [budget] }),
    deleteBudget: () => ({ deleted: true }),
    ...benchHandlers(),
  };
}
