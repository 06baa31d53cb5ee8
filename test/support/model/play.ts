/**
 * A play: workers that say things to the model and, when there is one, to a real store; each answer is compared with what the model says.
 *
 * Without a store the model plays alone and takes any of the tasks that a claim may take.
 */
import { isDeepStrictEqual } from "node:util";
import type {
  BeatAsk,
  ClaimView,
  LevelView,
  NextAsk,
  NextOutcome,
  ReportAnswer,
  ReportAsk,
  ReportOutcome,
  Store,
} from "../../../services/coordinator/store/store-contract.ts";
import { checkpointOf, description, outputHash, type World } from "../store-world.ts";
import { type Admission, admit, beat, claimable, finishNext, hear, report, type Taken, withoutQuarantined } from "./model-dispatch.ts";
import { settleJobs } from "./model-jobs.ts";
import { levelOf } from "./model-levels.ts";
import { createModel, type Model, type ModelSession, type ModelTask, wrong } from "./queue-model.ts";

/** A worker's agent: what it believes. */
export type Agent = {
  readonly name: string;
  readonly shapes: readonly string[];
  life: number;
  sessionId: string;
  sequence: number;
  beatSequence: number;
  readonly held: Set<string>;
  /** Its last next or report. */
  last: Message | undefined;
};

export type Message =
  | { readonly kind: "next"; readonly ask: NextAsk }
  | { readonly kind: "report"; readonly ask: ReportAsk }
  | { readonly kind: "beat"; readonly ask: BeatAsk };

/** A world and the coordinators' stores on it. */
export type RealFarm = { readonly world: World; readonly stores: readonly Store[] };

export type Play = {
  readonly model: Model;
  readonly real: RealFarm | undefined;
  /** Which coordinator answers. */
  coordinator: number;
  readonly agents: readonly Agent[];
  /** Everything that was said or is still under way. */
  readonly said: Message[];
  readonly epochs: Map<string, number>;
  lives: number;
  jobs: number;
  /** What happened, for people. */
  readonly log: string[];
};

const shapesOf = [["denoise/e1", "prepare/-"], ["denoise/e1"], ["prepare/-", "denoise/e1"]];

export function createPlay(real: RealFarm | undefined): Play {
  const agents = shapesOf.map((shapes, index): Agent => {
    const fresh = { life: index + 1, sessionId: sessionName(index + 1), sequence: 0, beatSequence: 0, last: undefined };
    return { name: `w${index}`, shapes, held: new Set(), ...fresh };
  });
  return { model: createModel(), real, coordinator: 0, agents, said: [], epochs: new Map(), lives: agents.length, jobs: 0, log: [] };
}

const sessionName = (life: number): string => `s${String(life).padStart(4, "0")}`;

/** A new life of the worker, which holds nothing. */
export function restart(play: Play, agent: Agent): void {
  play.lives += 1;
  Object.assign(agent, { life: play.lives, sessionId: sessionName(play.lives), sequence: 0, beatSequence: 0, last: undefined });
  agent.held.clear();
}

export function storeOf({ real, coordinator }: Play): Store | undefined {
  return real?.stores[coordinator % real.stores.length];
}

/** Ends the run unless both are the same. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  wrong(`${what}: the store says ${JSON.stringify(actual)}, the model ${JSON.stringify(expected)}`);
}

export function askOf(agent: Agent, overrides: Partial<NextAsk> = {}): NextAsk {
  agent.sequence += 1;
  return {
    sessionId: agent.sessionId,
    sequence: agent.sequence,
    farmEpoch: 0,
    worker: description({ name: agent.name, shapes: agent.shapes, life: agent.life }),
    heldAttemptIds: [...agent.held],
    freeSlots: 1,
    aheadSlots: 0,
    reports: [],
    leaving: false,
    ...overrides,
  };
}

type Heard = {
  readonly ask: NextAsk;
  /** The ask as it is heard. */
  readonly admitted: NextAsk;
  readonly admission: Admission;
  readonly outcome: NextOutcome | undefined;
};

/** Asks of one call; the attempt that each was given, also when its answer is a repeated one. `pick`: which task the model takes alone. */
export async function sendNext(play: Play, asks: readonly NextAsk[], pick: number): Promise<readonly (string | undefined)[]> {
  const outcomes = (await storeOf(play)?.next(asks)) ?? asks.map(() => undefined);
  const { model } = play;
  model.justShut.clear();
  const ordered = asks
    .map((ask, index) => ({ ask, outcome: outcomes[index] }))
    .toSorted((a, b) => (a.ask.sessionId < b.ask.sessionId ? -1 : 1));
  const heard = ordered.map((each): Heard => ({
    ...each,
    admission: admit(model, each.ask),
    admitted: withoutQuarantined(model, each.ask),
  }));
  const dispositions = heard.map(({ admitted, admission }) =>
    admission.kind === "admitted" ? hear(model, admitted, admission.session) : [],
  );
  const given = heard.map((each) => takeFor(play, each, pick));
  settleJobs(model);
  for (const [index, each] of heard.entries()) checkNext(model, each, dispositions[index] ?? []);
  for (const [index, { admission, outcome }] of heard.entries()) {
    if (admission.kind === "admitted") admission.session.answered = { kind: "next", outcome, claimed: given[index] };
  }
  return asks.map((ask) => given[heard.findIndex((each) => each.ask === ask)]);
}

/** What an ask was given, told to the model. */
function takeFor({ model, real }: Play, { admitted, admission, outcome }: Heard, pick: number): string | undefined {
  if (admission.kind === "replayed" && admission.session.answered?.kind === "next") return admission.session.answered.claimed;
  if (admission.kind !== "admitted") return undefined;
  const candidates = claimable(model, admitted, admission.session);
  const taken = real === undefined ? choose(model, candidates, pick) : claimedOf({ outcome, ask: admitted }, candidates);
  finishNext(model, admitted, { session: admission.session, taken });
  return taken?.attemptId;
}

function choose(model: Model, candidates: readonly ModelTask[], pick: number): Taken | undefined {
  const task = candidates[pick % Math.max(1, candidates.length)];
  return task === undefined ? undefined : { task, attemptId: `a${model.attempts.size}` };
}

/** The store's choice, which must be among the model's. */
function claimedOf({ outcome, ask }: Pick<Heard, "outcome" | "ask">, candidates: readonly ModelTask[]): Taken | undefined {
  if (outcome?.kind !== "answered") return wrong(`the store refused: ${outcome?.code ?? "no answer"}`);
  const names = candidates.map(({ key }) => key).join(" or ");
  const { claim } = outcome;
  if (claim === undefined)
    return candidates.length === 0 ? undefined : wrong(`the store gave nothing, the model would have given ${names}`);
  const task = candidates.find(({ id }) => id === claim.taskId);
  if (task === undefined) return wrong(`the store gave task ${claim.taskId}, the model would have given ${names || "nothing"}`);
  same("number of the attempt", claim.attemptNumber, task.attempts.length + 1);
  same("whether it is a reservation", claim.isReserved, ask.freeSlots === 0);
  same("inputs of the claim", claim.inputs, inputsOf(task));
  return { task, attemptId: claim.attemptId };
}

/** What a claim of the task carries. */
export function inputsOf({ id, inputs, checkpoint }: ModelTask): readonly ClaimView["inputs"][number][] {
  const made = inputs.map(({ name, producer }) => ({ name, sha256: outputHash(producer.id, "out"), sizeBytes: 3 }));
  const kept = checkpoint === undefined ? [] : [checkpointOf({ taskId: id }, checkpoint.step)];
  const all = [...made, ...kept.map(({ sha256, sizeBytes }) => ({ name: "checkpoint", sha256, sizeBytes }))];
  return all.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function checkNext(model: Model, { ask, admission, outcome }: Heard, dispositions: readonly string[]): void {
  if (outcome === undefined) return;
  if (isSettled(admission, outcome)) return;
  if (outcome.kind !== "answered") return wrong(`the store refused with ${outcome.code}`);
  checkReports(ask.reports, outcome.reportOutcomes, dispositions);
  const levels: LevelView[] = ask.heldAttemptIds.map((attemptId) => ({ attemptId, level: levelOf(model, attemptId) }));
  same("levels", outcome.levels, levels);
}

/** True for what is refused or repeated, and was rightly. */
function isSettled(admission: Admission, outcome: NextOutcome | ReportAnswer): boolean {
  if (admission.kind === "refused") {
    same("refusal", outcome.kind === "refused" ? outcome.code : "none", admission.code);
    return true;
  }
  if (admission.kind !== "replayed") return false;
  same("stored answer", withoutAftermath(outcome), { ...withoutAftermath(admission.session.answered?.outcome), replayed: true });
  return true;
}

function withoutAftermath(outcome: NextOutcome | ReportAnswer | undefined): object {
  return Object.fromEntries(Object.entries(outcome ?? {}).filter(([name]) => name !== "aftermath"));
}

function checkReports(reports: ReportAsk["reports"], outcomes: readonly ReportOutcome[], dispositions: readonly string[]): void {
  const told = outcomes.map(({ attemptId, disposition }) => ({ attemptId, disposition }));
  same(
    "dispositions",
    told,
    reports.map(({ attemptId }, index) => ({ attemptId, disposition: dispositions[index] })),
  );
}

export async function sendReport(play: Play, ask: ReportAsk): Promise<void> {
  const outcome = (await storeOf(play)?.report([ask]))?.[0];
  const admission = admit(play.model, ask);
  const dispositions = admission.kind === "admitted" ? report(play.model, ask, admission.session) : [];
  if (outcome !== undefined && !isSettled(admission, outcome)) {
    if (outcome.kind !== "answered") return wrong(`the store refused with ${outcome.code}`);
    checkReports(ask.reports, outcome.reportOutcomes, dispositions);
  }
  if (admission.kind === "admitted") admission.session.answered = { kind: "report", outcome };
}

export async function sendBeat(play: Play, ask: BeatAsk): Promise<void> {
  const outcome = (await storeOf(play)?.beat([ask]))?.[0];
  const refusal = beat(play.model, ask);
  if (outcome === undefined) return;
  if (refusal !== undefined) {
    same("refusal", outcome.kind === "refused" ? outcome.code : "none", refusal.code);
    return;
  }
  if (outcome.kind !== "answered") return wrong(`the store refused with ${outcome.code}`);
  same(
    "levels",
    outcome.levels,
    ask.attempts.map(({ attemptId }) => ({ attemptId, level: levelOf(play.model, attemptId) })),
  );
}

export const liveSessions = (model: Model): ModelSession[] => [...model.sessions.values()].filter(({ isLive }) => isLive);
