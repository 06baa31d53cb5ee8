/**
 * A worker that a test plays over real NATS: it asks, claims, stores outputs and reports, one request at a time as the agent does.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AttemptBeat,
  type AttemptReport,
  BeatRequest,
  BeatResponse,
  NextRequest,
  NextResponse,
  type ProducedArtifact,
  ReportRequest,
  ReportResponse,
  type TaskClaim,
  type WorkerDescription,
  WorkerSignal,
} from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { stagesWithoutEngine } from "../../services/domain/stage.ts";
import type { MetricScore } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { openMetrics, openModel } from "../../services/platform/models/repository.ts";
import type { Broker } from "../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { testPool } from "./coordinator-farm.ts";
import { present, sha256Of } from "./farm-calls.ts";

const subjects = subjectsOf("local");
const requestMs = 10_000;
const models = join(import.meta.dirname, "../../models");

type NextChange = { readonly held?: readonly string[]; readonly freeSlots?: number; readonly reports?: readonly AttemptReport[] };

export type PlayedWorker = {
  readonly workerId: string;
  readonly sessionId: string;
  /** The bytes of a new next request; each has a sequence of its own. */
  nextPayload(change?: NextChange): Uint8Array;
  send(payload: Uint8Array): Promise<NextResponse>;
  next(change?: NextChange): Promise<NextResponse>;
  /** Asks until there is a claim; waits for a wake in between. */
  claim(): Promise<TaskClaim>;
  report(reports: readonly AttemptReport[]): Promise<ReportResponse>;
  /** In the first step of two, unless it says more. */
  beat(attemptIds: readonly string[], said?: Partial<AttemptBeat>): Promise<BeatResponse>;
  /** Stores made-up outputs of the claim's stage and reports success, riding on the next ask. */
  finish(claim: TaskClaim): Promise<NextResponse>;
  /** The next signal on the worker's subject that `wanted` accepts, from those not yet taken. */
  signal(wanted: "wake" | "level"): Promise<WorkerSignal>;
  stop(): void;
};

export type PlayedOptions = {
  /** Also takes panels and every metric of demo-metrics. */
  readonly scores?: boolean;
};

/** What it holds, and what it runs without an engine. */
async function heldBy({ scores = false }: PlayedOptions): Promise<Pick<WorkerDescription, "models" | "stagesWithoutEngine">> {
  const digestsOf = (engines: Readonly<Record<string, { readonly name: string; readonly digest: string }>>) =>
    Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
  const demo = { name: "demo", engineDigests: digestsOf((await openModel(join(models, "demo"))).engines) };
  if (!scores) return { models: [demo], stagesWithoutEngine: [] };
  const metrics = { name: "demo-metrics", engineDigests: digestsOf((await openMetrics(join(models, "demo-metrics"))).engines) };
  return { models: [demo, metrics], stagesWithoutEngine: [...stagesWithoutEngine] };
}

/** Joins a pool under a random identity. */
export async function playWorker(broker: Broker, artifacts: ArtifactStore, options: PlayedOptions = {}): Promise<PlayedWorker> {
  const sessionId = randomBytes(16).toString("hex");
  const workerId = `played-${sessionId.slice(0, 8)}`;
  const held = await heldBy(options);
  const signals = createSignals(broker, workerId);
  await broker.flush(requestMs);
  let sequence = 0n;
  let beatSequence = 0n;
  let farmEpoch = 0n;
  const header = (number: bigint) => ({ protocolVersion: 1, sessionId, sequence: number, farmEpoch });
  const worker = { workerId, name: workerId, host: "test", pool: testPool.name, provider: "cpu", profile: testPool.profile, device: "cpu" };
  const nextPayload = ({ held: heldAttemptIds = [], freeSlots = 1, reports = [] }: NextChange = {}): Uint8Array => {
    sequence += 1n;
    const request = NextRequest.create({
      header: header(sequence),
      worker: { ...worker, ...held, softwareVersion: "test", life: 1n },
      heldAttemptIds: [...heldAttemptIds],
      freeSlots,
      reports: [...reports],
    });
    return NextRequest.encode(request).finish();
  };
  const send = async (payload: Uint8Array): Promise<NextResponse> => {
    const response = NextResponse.decode(await broker.request(subjects.next(testPool.name), payload, requestMs));
    if (response.outcome?.$case === "answer") farmEpoch = response.outcome.value.farmEpoch;
    return response;
  };
  const next = (change?: NextChange): Promise<NextResponse> => send(nextPayload(change));
  return {
    workerId,
    sessionId,
    nextPayload,
    send,
    next,
    async claim() {
      for (;;) {
        const claim = claimOf(await next());
        if (claim !== undefined) return claim;
        await signals.take("wake");
      }
    },
    async report(reports) {
      sequence += 1n;
      const request = ReportRequest.create({ header: header(sequence), pool: testPool.name, reports: [...reports] });
      return ReportResponse.decode(await broker.request(subjects.report(testPool.name), ReportRequest.encode(request).finish(), requestMs));
    },
    async beat(attemptIds, said = {}) {
      beatSequence += 1n;
      const attempts = attemptIds.map((attemptId) => ({
        attemptId,
        phase: 2 as const,
        step: 1,
        steps: 2,
        deviceMs: 3,
        announcedArtifacts: [],
        ...said,
      }));
      const request = BeatRequest.create({ header: header(beatSequence), pool: testPool.name, attempts });
      return BeatResponse.decode(await broker.request(subjects.beat(testPool.name), BeatRequest.encode(request).finish(), requestMs));
    },
    async finish(claim) {
      const outputs = await storeOutputs(artifacts, claim);
      return next({ reports: [successOf(claim, outputs)] });
    },
    signal: (wanted) => signals.take(wanted),
    stop: signals.stop,
  };
}

/** The claim in an answer, if there is one; a refusal is a failure of the test. */
export function claimOf({ outcome }: NextResponse): TaskClaim | undefined {
  if (outcome?.$case !== "answer") throw new TypeError(`refused: ${outcome?.value.code ?? "no outcome"}`);
  return outcome.value.claim;
}

/** A success report with these outputs. */
export function successOf(claim: TaskClaim, outputs: readonly ProducedArtifact[], score?: MetricScore): AttemptReport {
  const success = { outputs: [...outputs], provider: "cpu", profile: testPool.profile, warnings: [], score };
  const times = { deviceMs: 5, loadMs: 1, computeMs: 4, fetchMs: 1, finishMs: 1 };
  return { attemptId: claim.attemptId, outcome: { $case: "success", value: success }, ...times };
}

/** A failure report with this code. */
export function failureOf(claim: TaskClaim, code: string): AttemptReport {
  const failure = { code, message: "played", abandoned: false, badInputSha256: [], logTail: "" };
  return {
    attemptId: claim.attemptId,
    outcome: { $case: "failure", value: failure },
    deviceMs: 1,
    loadMs: 0,
    computeMs: 0,
    fetchMs: 0,
    finishMs: 0,
  };
}

const outputNames: Readonly<Record<string, readonly string[]>> = {
  prepare: ["pixels"],
  text_encode: ["embeds"],
  vae_encode: ["moments"],
  denoise: ["latents"],
  panels: ["panels"],
};

/** Made-up bytes for each output of a claim's stage, in the store; larger than one chunk of a download. */
export async function storeOutputs(artifacts: ArtifactStore, claim: TaskClaim): Promise<readonly ProducedArtifact[]> {
  const decode = claim.parameters?.kind?.$case === "vaeDecode" ? claim.parameters.kind.value.outputs : [];
  const [, metric] = claim.stage.split("/");
  const ofClip = metric === undefined ? decode.map((output) => (output === 1 ? "mp4" : "frames")) : [metric];
  const names = outputNames[claim.stage] ?? ofClip;
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-outputs-"));
  try {
    return await Promise.all(
      names.map(async (name) => {
        const bytes = Buffer.alloc(300_000, `${claim.taskId} ${name} `);
        await writeFile(join(folder, name), bytes);
        await artifacts.put(sha256Of(bytes), join(folder, name));
        return { name, sha256: sha256Of(bytes), sizeBytes: BigInt(bytes.length), mediaType: "application/octet-stream" };
      }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

function createSignals(broker: Broker, workerId: string) {
  const kept: WorkerSignal[] = [];
  const waiting: (() => void)[] = [];
  const stop = broker.subscribe(subjects.worker(workerId), (payload) => {
    kept.push(WorkerSignal.decode(payload));
    for (const wake of waiting.splice(0)) wake();
  });
  return {
    stop,
    async take(wanted: "wake" | "level"): Promise<WorkerSignal> {
      for (;;) {
        const index = kept.findIndex(({ kind }) => kind?.$case === wanted);
        if (index >= 0) return present(kept.splice(index, 1)[0]);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}
