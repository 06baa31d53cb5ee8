/**
 * A store on a database of its own, and workers, jobs and plans to exercise it with.
 *
 * Workers keep their sequences as an agent does; everything else is the store's own interface.
 */
import { createHash, randomUUID } from "node:crypto";
import type { RenderSpec } from "../../services/domain/render-spec.ts";
import type { PlannedTask } from "../../services/domain/planned-task.ts";
import { openPool, type Pool } from "../../services/platform/database/pool.ts";
import type {
  AttemptReport,
  BeatAsk,
  ClaimView,
  KeptCheckpoint,
  NextAsk,
  NextOutcome,
  PlannedRender,
  ProducedArtifact,
  Store,
  SubmitJob,
  WorkerDescription,
} from "../../services/coordinator/store/store-contract.ts";
import { openStore, type StoreOptions } from "../../services/coordinator/store/store.ts";

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export type World = {
  readonly store: Store;
  /** Connections of the test's own. */
  readonly pool: Pool;
  readonly sql: <Row extends object>(text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;
  /** Another coordinator's store on the same database. */
  readonly openAnother: (overrides?: Partial<StoreOptions>) => Promise<Store>;
  readonly close: () => Promise<void>;
};

export const profile = "cpu;test";

/** Opens a store on a migrated database. */
export async function openWorld(url: string, options: Partial<StoreOptions> = {}): Promise<World> {
  const open = (overrides: Partial<StoreOptions> = {}): Promise<Store> =>
    openStore({
      pool: openPool({ url, applicationName: "store", connections: 6 }),
      beatPool: openPool({ url, applicationName: "beats", connections: 2 }),
      farm: "test",
      leaseMs: 15_000,
      pools: [{ name: "pool", profile }],
      jitter: () => 0,
      ...options,
      ...overrides,
    });
  const pool = openPool({ url, applicationName: "test", connections: 4 });
  const stores = [await open()];
  const [store] = stores as [Store];
  return {
    store,
    pool,
    async sql<Row extends object>(text: string, values: readonly unknown[] = []) {
      return (await pool.query(text, [...values])).rows as readonly Row[];
    },
    async openAnother(overrides) {
      const another = await open(overrides);
      stores.push(another);
      return another;
    },
    async close() {
      await Promise.all(stores.map((each) => each.close()));
      await pool.end();
    },
  };
}

export type TaskOptions = {
  readonly after?: readonly string[];
  readonly uploads?: readonly string[];
  readonly artifacts?: readonly string[];
  readonly shape?: string;
  readonly domain?: string;
};

/** A planned task whose key is its name's; its one output is "out" unless it hands out others. */
export function task(
  name: string,
  { after = [], uploads = [], artifacts = [], shape = "denoise/e1", domain = "" }: TaskOptions = {},
): PlannedTask {
  return {
    contentKey: sha256(domain + name),
    sharingDomain: `["local"${domain}]`,
    stage: "denoise",
    label: name,
    pool: "pool",
    shape,
    model: "demo",
    engineDigests: { denoise: "e1" },
    parameters: { textEncode: { prompt: name } },
    inputs: [
      ...after.map((producer) => ({
        name: producer,
        source: { kind: "task" as const, contentKey: sha256(domain + producer), output: "out" },
      })),
      ...uploads.map((upload) => ({ name: `upload ${upload}`, source: { kind: "upload" as const, sha256: upload } })),
    ],
    artifacts,
  };
}

/** Two that a third needs, whose result a fourth hands out as "mp4". */
export function diamond(domain = ""): readonly PlannedTask[] {
  return [
    task("left", { domain }),
    task("right", { domain }),
    task("middle", { after: ["left", "right"], domain }),
    task("last", { after: ["middle"], artifacts: ["mp4"], domain }),
  ];
}

/** A planned render of the given tasks. */
export function plannedRender(tasks: readonly PlannedTask[], spec: Partial<RenderSpec> = {}): PlannedRender {
  return {
    render: {
      model: "demo",
      image: { sha256: sha256("image") },
      prompt: "a prompt",
      negativePrompt: "",
      references: [{ sha256: sha256("clip") }],
      referencePrompts: ["a clip"],
      seed: "42",
      steps: 2,
      guidanceScale: 6,
      dynamicGuidance: false,
      scheduler: "ddim",
      frameSelection: "evenly",
      outputs: ["mp4"],
      width: 64,
      height: 48,
      frames: 17,
      ...spec,
    },
    modelWeights: "random",
    fps: 16,
    tasks,
  };
}

/** Every job of a list. */
export const noFilter = {
  states: [],
  jobClass: undefined,
  model: undefined,
  createdAfter: undefined,
  createdBefore: undefined,
  idempotencyKey: undefined,
} as const;

/** A job of several renders, each of the given tasks, with every field overridable. */
export function batch(plans: readonly (readonly PlannedTask[])[], overrides: Partial<SubmitJob> = {}): SubmitJob {
  return {
    jobId: randomUUID(),
    tenant: "local",
    idempotencyKey: undefined,
    bodyDigest: sha256("body"),
    jobClass: "production",
    priority: 0,
    deadline: undefined,
    reuse: "all",
    webhook: undefined,
    renders: plans.map((tasks) => plannedRender(tasks)),
    ...overrides,
  };
}

/** A job of one render of the given tasks. */
export const job = (tasks: readonly PlannedTask[], overrides: Partial<SubmitJob> = {}): SubmitJob => batch([tasks], overrides);

/** Stores a job of one render that must be stored; returns its id. */
export const submit = (store: Store, tasks: readonly PlannedTask[], overrides: Partial<SubmitJob> = {}): Promise<string> =>
  submitBatch(store, [tasks], overrides);

/** Stores a job of several renders that must be stored; returns its id. */
export async function submitBatch(
  store: Store,
  plans: readonly (readonly PlannedTask[])[],
  overrides: Partial<SubmitJob> = {},
): Promise<string> {
  const outcome = await store.submitJob(batch(plans, overrides));
  if (outcome.kind !== "stored") throw new TypeError(`not stored: ${outcome.kind}`);
  return outcome.job.jobId;
}

export type Worker = {
  readonly sessionId: string;
  /** The next ask, with its own sequence, claiming one task unless told otherwise. */
  ask(overrides?: Partial<NextAsk>): NextAsk;
  /** Asks and remembers what it then holds. */
  next(overrides?: Partial<NextAsk>): Promise<Extract<NextOutcome, { kind: "answered" }>>;
  /** Claims a task that must be there. */
  claim(): Promise<ClaimView>;
  report(...reports: readonly AttemptReport[]): ReturnType<Store["report"]>;
  succeed(claim: ClaimView, names?: readonly string[]): ReturnType<Store["report"]>;
  fail(claim: ClaimView, code: string, badInputs?: readonly string[]): ReturnType<Store["report"]>;
  /** Beats for one attempt, in its compute at the step. */
  beat(claim: ClaimView, step: number, said?: Partial<BeatAsk["attempts"][number]>): ReturnType<Store["beat"]>;
  /** Announces a checkpoint in one beat and tells it in another, as if its bytes had been stored between them; returns its hash. */
  checkpoint(claim: ClaimView, step: number): Promise<string>;
  readonly held: Set<string>;
  nextSequence(): number;
};

export type WorkerOptions = {
  /** Digests of the engines that it has loaded. */
  readonly resident?: readonly string[];
  readonly name?: string;
  readonly shapes?: readonly string[];
  readonly sessionId?: string;
  readonly life?: number;
  readonly profile?: string;
  readonly memoryBytes?: number;
  readonly softwareVersion?: string;
};

/** Each worker of a file is a younger life than those made before it. */
let lives = 0;

export function description({
  name = "w1",
  shapes = ["denoise/e1", "prepare/-"],
  life = lives + 1,
  profile: ownProfile = profile,
  memoryBytes = 1_000,
  resident = [],
  softwareVersion = "0",
}: WorkerOptions = {}): WorkerDescription {
  return {
    workerId: name,
    name,
    host: "host",
    pool: "pool",
    provider: "cpu",
    profile: ownProfile,
    device: "cpu",
    memoryBytes,
    models: ["demo"],
    shapes,
    residentEngineDigests: resident,
    softwareVersion,
    life,
  };
}

/** What every report says that its task computed. */
export const computeMs = 8;
const times = { deviceMs: 10, loadMs: 1, computeMs, fetchMs: 1, finishMs: 1 };

/** What a task's output hashes to: equal tasks produce equal bytes. */
export const outputHash = (taskId: number, name: string): string => sha256(`${taskId} ${name}`);

/** A report of success with the given outputs. */
export function success(claim: Pick<ClaimView, "attemptId" | "taskId">, names: readonly string[] = ["out", "mp4"]): AttemptReport {
  const outputs = names.map((name): ProducedArtifact => ({
    name,
    sha256: outputHash(claim.taskId, name),
    sizeBytes: 3,
    mediaType: "text/plain",
  }));
  return { attemptId: claim.attemptId, outcome: { kind: "success", outputs, provider: "cpu", profile, warnings: [] }, ...times };
}

/** What a task's run is at a step: the same whoever ran it. */
export function checkpointOf({ taskId }: Pick<ClaimView, "taskId">, step: number): KeptCheckpoint {
  return { step, sha256: sha256(`${taskId} at ${step}`), sizeBytes: 5 };
}

/** A report of failure. */
export function failure(claim: Pick<ClaimView, "attemptId">, code: string, badInputs: readonly string[] = []): AttemptReport {
  const abandoned = code === "STAGE_CANCELLED";
  return { attemptId: claim.attemptId, outcome: { kind: "failure", code, message: `${code}!`, abandoned, badInputs }, ...times };
}

/** A worker's agent in a session of its own. */
export function createWorker(store: Store, options: WorkerOptions = {}): Worker {
  const sessionId = options.sessionId ?? randomUUID();
  const life = options.life ?? (lives += 1);
  const held = new Set<string>();
  let [sequence, beatSequence] = [0, 0];
  const nextSequence = (): number => (sequence += 1);
  const worker: Worker = {
    sessionId,
    held,
    nextSequence,
    ask: (overrides) => ({
      sessionId,
      sequence: nextSequence(),
      farmEpoch: 0,
      worker: description({ ...options, life }),
      heldAttemptIds: [...held],
      freeSlots: 1,
      aheadSlots: 0,
      reports: [],
      leaving: false,
      ...overrides,
    }),
    async next(overrides) {
      const [outcome] = await store.next([worker.ask(overrides)]);
      if (outcome?.kind !== "answered") throw new TypeError(`refused: ${outcome?.code ?? "nothing"}`);
      if (outcome.claim !== undefined) held.add(outcome.claim.attemptId);
      return outcome;
    },
    async claim() {
      const { claim } = await worker.next();
      if (claim === undefined) throw new TypeError("nothing to claim");
      return claim;
    },
    report(...reports) {
      for (const { attemptId } of reports) held.delete(attemptId);
      return store.report([{ sessionId, sequence: nextSequence(), farmEpoch: 0, reports }]);
    },
    succeed: (claim, names) => worker.report(success(claim, names)),
    fail: (claim, code, badInputs) => worker.report(failure(claim, code, badInputs)),
    beat({ attemptId }, step, said = {}) {
      const attempt = { attemptId, phase: "compute" as const, step, steps: 50, deviceMs: step, announcedArtifacts: [], ...said };
      return store.beat([{ sessionId, sequence: (beatSequence += 1), farmEpoch: 0, attempts: [attempt] }]);
    },
    async checkpoint(claim, step) {
      const checkpoint = checkpointOf(claim, step);
      await worker.beat(claim, step, { announcedArtifacts: [{ ...checkpoint, name: "checkpoint", mediaType: "text/plain" }] });
      await worker.beat(claim, step, { checkpoint });
      return checkpoint.sha256;
    },
  };
  return worker;
}
