/**
 * A made-up farm in every state that pages can show: two pools, a hold, a lost worker, jobs that wait, run, ended well and badly, a batch.
 */
import {
  type Artifact,
  Job,
  JobClass,
  JobEvent,
  JobState,
  Render,
  RenderSpec,
  Reuse,
  TaskState,
  TaskSummary,
  Worker,
  WorkerState,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import {
  ConstraintKind,
  Farm,
  HealthState,
  HoldScope,
  Model,
  TaskExplanation,
  type UsageRow,
} from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";

/** The time in this farm. */
export const worldNow = new Date("2026-03-04T12:00:00Z");

const ago = (ms: number): Date => new Date(worldNow.getTime() - ms);
const hash = (digit: string): string => digit.repeat(64);

/** Ids of the farm's jobs. */
export const jobIds = {
  running: "0b5c1f7e-1111-4a1a-9b1b-000000000001",
  succeeded: "1d2e3f40-2222-4a1a-9b1b-000000000002",
  failed: "2e3f4051-3333-4a1a-9b1b-000000000003",
  batch: "3f405162-4444-4a1a-9b1b-000000000004",
  hostile: "40516273-5555-4a1a-9b1b-000000000005",
} as const;

/** What a client may hand in, at its worst. */
export const hostilePrompt = `<script>globalThis.pwned = 1</script><img src=x onerror="globalThis.pwned = 1">" onload='x' &amp; \u202Ertl\u202C \u0000\u0007 שלום עולם مرحبا ${"W".repeat(20_000)}`;

const artifact = (name: string, mediaType: string, digit: string): Artifact => ({
  name,
  mediaType,
  sha256: hash(digit),
  sizeBytes: 123_456n,
});

const inputs = [artifact("input_image", "image/png", "a"), artifact("input_reference_1", "video/mp4", "b")];

function spec(prompt: string): RenderSpec {
  return RenderSpec.create({
    model: "demo",
    image: { sha256: hash("a") },
    prompt,
    negativePrompt: "blurry, low quality",
    references: [{ sha256: hash("b") }],
    referencePrompts: ["A dog dissolves into autumn leaves that the wind carries away."],
    seed: 4_242_424_242n,
    steps: 50,
    guidance: { scale: 6, dynamic: true },
    scheduler: SchedulerKind.SCHEDULER_KIND_DPM,
    frameSelection: FrameSelection.FRAME_SELECTION_EVENLY,
    outputs: [OutputKind.OUTPUT_KIND_MP4, OutputKind.OUTPUT_KIND_LATENTS],
    width: 64,
    height: 48,
    frames: 17,
  });
}

type Step = readonly [stage: string, label: string, dependsOn: readonly number[]];

const steps: readonly Step[] = [
  ["prepare", "image", []],
  ["prepare", "reference 1", []],
  ["text_encode", "prompt", []],
  ["text_encode", "negative prompt", []],
  ["text_encode", "reference prompt 1", []],
  ["vae_encode", "image", [0]],
  ["vae_encode", "reference 1", [1]],
  ["denoise", "", [2, 3, 4, 5, 6]],
  ["vae_decode", "", [7]],
];

/** The tasks of a render: those before `current` succeeded, it is in the state, the rest wait. */
function tasks(current: number, state: TaskState): TaskSummary[] {
  return steps.map(([stage, label, dependsOn], index) =>
    TaskSummary.create({
      taskId: BigInt(100 + index),
      stage,
      label,
      state: index < current ? TaskState.TASK_STATE_SUCCEEDED : index === current ? state : TaskState.TASK_STATE_BLOCKED,
      attempts: index < current ? 1 : index === current ? 2 : 0,
      workerName: index <= current ? "gpu-node-7/0" : "",
      computeMs: index < current ? 340 * (index + 1) ** 2 : 0,
      loadMs: index < current ? 1_200 : 0,
      provider: index < current ? "CUDAExecutionProvider" : "",
      reused: index < current && stage === "text_encode" && label !== "prompt",
      dependsOn: dependsOn.map((one) => BigInt(100 + one)),
    }),
  );
}

const states = JobState;
const failure = {
  code: "SUSPECTED_POISON",
  message: "3 attempts on 3 workers ended without a known cause",
  stage: "denoise",
  remedy: "look at its attempts before trying it again",
};

type Drawn = { readonly state: JobState; readonly prompt: string; readonly tasks: TaskSummary[]; readonly change?: Partial<Job> };

function single(jobId: string, { state, prompt, tasks: all, change = {} }: Drawn): { readonly job: Job; readonly render: Render } {
  const isDone = state === states.JOB_STATE_SUCCEEDED;
  const artifacts = isDone ? [artifact("mp4", "video/mp4", "c"), artifact("latents", "application/octet-stream", "d")] : [];
  const failed = state === states.JOB_STATE_FAILED ? { failure } : {};
  const shared = { jobId, state, tasks: all, artifacts, modelWeights: "random", fps: 16, ...failed };
  const warnings = isDone ? [{ code: "PROMPT_TRUNCATED", message: "the prompt has 301 tokens; the model takes the first 226" }] : [];
  const endTime = isDone || state === states.JOB_STATE_FAILED ? ago(60_000) : undefined;
  const counts = { total: 1, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
  const job = Job.create({
    ...shared,
    warnings,
    tenant: "studio-north",
    jobClass: JobClass.JOB_CLASS_PRODUCTION,
    reuse: Reuse.REUSE_ALL,
    createTime: ago(400_000),
    endTime,
    render: spec(prompt),
    lastEventNumber: 7n,
    renderCounts: counts,
    ...change,
  });
  return { job, render: Render.create({ ...shared, warnings, position: 0, spec: spec(prompt), inputs, endTime }) };
}

const leaf = "A glass teapot on a wooden table slowly dissolves into a swarm of golden butterflies, morning light, shallow depth of field.";

const singles = [
  single(jobIds.running, {
    state: states.JOB_STATE_RUNNING,
    prompt: leaf,
    tasks: tasks(7, TaskState.TASK_STATE_RUNNING),
    change: { priority: 20, deadline: ago(-3_600_000) },
  }),
  single(jobIds.succeeded, {
    state: states.JOB_STATE_SUCCEEDED,
    prompt: leaf,
    tasks: tasks(9, TaskState.TASK_STATE_SUCCEEDED),
    change: {
      webhook: {
        url: "https://hooks.example.org/renders",
        secret: "",
        delivery: { eventNumber: 7n, tries: 2, deliveredTime: ago(50_000), nextTryTime: undefined, lastError: "" },
      },
    },
  }),
  single(jobIds.failed, { state: states.JOB_STATE_FAILED, prompt: "Rain.", tasks: tasks(7, TaskState.TASK_STATE_FAILED) }),
  single(jobIds.hostile, {
    state: states.JOB_STATE_QUEUED,
    prompt: hostilePrompt,
    tasks: tasks(0, TaskState.TASK_STATE_READY),
    change: { tenant: "o'brien" },
  }),
];

const batch = Job.create({
  jobId: jobIds.batch,
  tenant: "bench",
  state: states.JOB_STATE_RUNNING,
  jobClass: JobClass.JOB_CLASS_BENCHMARK,
  createTime: ago(7_200_000),
  reuse: Reuse.REUSE_INPUTS,
  lastEventNumber: 900n,
  renderCounts: { total: 48, queued: 20, running: 2, succeeded: 23, failed: 2, cancelled: 1 },
});

const batchStates = [states.JOB_STATE_SUCCEEDED, states.JOB_STATE_FAILED, states.JOB_STATE_RUNNING, states.JOB_STATE_QUEUED, states.JOB_STATE_CANCELLED]; // prettier-ignore

/** Renders of a job, the batch's first twelve. */
export function rendersOf(jobId: string): readonly Render[] {
  if (jobId !== jobIds.batch) return singles.filter(({ job }) => job.jobId === jobId).map(({ render }) => render);
  return Array.from({ length: 12 }, (_, position) => {
    const state = batchStates[position % batchStates.length] ?? states.JOB_STATE_QUEUED;
    const failed = state === states.JOB_STATE_FAILED ? { failure } : {};
    return Render.create({ jobId, position, state, spec: spec(`Row ${position}: ${leaf}`), inputs, ...failed });
  });
}

/** The newest first. */
export const worldJobs: readonly Job[] = [...singles.map(({ job }) => job), batch];

const kinds = ["job.submitted", "task.started", "task.succeeded", "task.retried", "task.started", "task.failed", "job.failed"] as const;

/** A job's log. */
export const worldEvents: readonly JobEvent[] = kinds.map((kind, index) =>
  JobEvent.create({
    number: BigInt(index + 1),
    time: ago(400_000 - index * 30_000),
    kind,
    stage: kind.startsWith("task") ? "denoise" : "",
    workerName: kind.startsWith("task") ? "gpu-node-7/0" : "",
    message: kind === "task.retried" ? "RUNTIME_DIED: the stage runtime ended unexpectedly; again in 5 s" : "",
    ...(kind.startsWith("task") ? { renderPosition: 0 } : {}),
  }),
);

const queue = (stage: string, counts: readonly [number, number, number, number], oldestReadyMs: number) => {
  const [running, ready, delayed, blocked] = counts;
  return { stage, running, ready, delayed, blocked, oldestReadyMs };
};

export const worldFarm = Farm.create({
  name: "north",
  version: "0.1.0",
  epoch: 3n,
  openJobs: 3,
  time: worldNow,
  holds: [
    { scope: HoldScope.HOLD_SCOPE_POOL, name: "l4", reason: "driver update, back at 14:00", placedBy: "ops", placeTime: ago(1_500_000) },
  ],
  pools: [
    {
      name: "a100",
      profile: "cuda;a100;fp16",
      queues: [queue("denoise", [1, 12, 0, 20], 93_000), queue("vae_encode", [0, 0, 1, 4], 0), queue("vae_decode", [0, 0, 0, 22], 0)],
      workers: { idle: 1, busy: 1, draining: 0, lost: 1, stopped: 0, cordoned: 1 },
    },
    { name: "l4", profile: "cuda;l4;fp16", queues: [], workers: { idle: 0, busy: 0, draining: 0, lost: 0, stopped: 0, cordoned: 0 } },
  ],
});

function worker(name: string, change: Partial<Worker>): Worker {
  return Worker.create({
    workerId: `worker-${name}`,
    name,
    host: "gpu-node-7.internal",
    pool: "a100",
    provider: "CUDAExecutionProvider",
    profile: "cuda;a100;fp16",
    device: "NVIDIA A100 80GB",
    memoryBytes: 85_899_345_920n,
    softwareVersion: "0.1.0",
    models: ["demo", "cogvideox-vap"],
    lastBeatTime: ago(1_400),
    ...change,
  });
}

export const worldWorkers: readonly Worker[] = [
  worker("gpu-node-7/0", {
    state: WorkerState.WORKER_STATE_BUSY,
    running: [
      {
        taskId: 107n,
        stage: "denoise",
        jobId: jobIds.running,
        renderPosition: 0,
        phase: "compute",
        progress: { step: 18, steps: 50 },
        elapsedMs: 41_000,
        remainingMs: 72_000,
      },
      { taskId: 90n, stage: "prepare", jobId: jobIds.batch, renderPosition: 4, phase: "finish", progress: undefined, elapsedMs: 800 },
    ],
  }),
  worker("gpu-node-7/1", {
    state: WorkerState.WORKER_STATE_IDLE,
    cordon: { reason: "ECC errors", placedBy: "ops", placeTime: ago(600_000), drainTime: ago(-120_000) },
  }),
  worker("gpu-node-7/2", {
    state: WorkerState.WORKER_STATE_IDLE,
    health: {
      state: HealthState.HEALTH_STATE_SUSPENDED,
      reason: "3 of its last 4 attempts failed",
      sinceTime: ago(30_000),
      endTime: ago(-90_000),
      spells: 2,
      quarantines: [
        { shape: `denoise/${hash("e")}`, endTime: ago(-20_000), failures: 2, code: "ENGINE_LOAD_FAILED", message: "CUDA error 999" },
      ],
    },
  }),
  worker("gpu-node-8/0", { state: WorkerState.WORKER_STATE_LOST, lastBeatTime: ago(4_000_000) }),
];

export const worldModels: readonly Model[] = [
  Model.create({
    name: "demo",
    version: "1",
    variant: "cogvideox",
    weights: "random",
    width: 64,
    height: 48,
    frames: 17,
    fps: 16,
    maxReferences: 3,
    workers: 2,
    defaults: { steps: 50, guidanceScale: 6, dynamicGuidance: true, negativePrompt: "", scheduler: "ddim" },
    engines: [{ name: "denoise", stage: "denoise", digest: hash("e"), precision: "fp32", memoryBytes: 4_000_000n }],
  }),
];

export const worldExplanations: readonly TaskExplanation[] = [
  TaskExplanation.create({
    taskId: 107n,
    stage: "denoise",
    pool: "a100",
    constraints: [
      {
        kind: ConstraintKind.CONSTRAINT_KIND_HELD,
        message: "pool l4 is held by ops: driver update",
        remedy: "release the hold: vapfarm release pool l4",
      },
      { kind: ConstraintKind.CONSTRAINT_KIND_WORKERS_BUSY, message: "2 of 2 workers that hold the engine are busy", remedy: "" },
    ],
  }),
  TaskExplanation.create({
    taskId: 108n,
    stage: "vae_decode",
    pool: "a100",
    constraints: [{ kind: ConstraintKind.CONSTRAINT_KIND_INPUTS_MISSING, message: "waits for denoise", remedy: "" }],
  }),
];

const usageRow = (keys: readonly string[], attempts: bigint, deviceMs: number): UsageRow => ({
  keys: [...keys],
  attempts,
  deviceMs,
  loadMs: deviceMs / 10,
  computeMs: deviceMs * 0.9,
  fetchMs: 900,
  finishMs: 1_700,
  wastedDeviceMs: deviceMs / 50,
  cost: { currencyCode: "EUR", units: BigInt(Math.trunc(deviceMs / 1_440_000)), nanos: 500_000_000 },
});

export const worldUsage: readonly UsageRow[] = [usageRow(["denoise"], 120n, 8_400_000), usageRow(["vae_decode"], 118n, 640_000), usageRow(["prepare"], 240n, 9_000)]; // prettier-ignore
export const worldUsageTotal: UsageRow = usageRow([], 478n, 9_049_000);
