/**
 * What workers do in a play: ask, report, beat, die, leave; with messages that are lost, late or said twice.
 */
import type { AttemptReport, BeatAsk, NextAsk, ReportAsk } from "../../../services/coordinator/store/store-contract.ts";
import { checkpointOf, failure, success } from "../store-world.ts";
import {
  type Agent,
  askOf,
  inputsOf,
  liveSessions,
  type Message,
  type Play,
  restart,
  sendBeat,
  sendNext,
  sendReport,
  storeOf,
} from "./play.ts";
import { isRunning, type ModelAttempt, type ModelSession, tick } from "./queue-model.ts";

/** Numbers that choose among what is there. */
export type Picks = readonly [number, number, number];
export type Operation = (play: Play, picks: Picks) => Promise<void>;

/** Chosen by a number; undefined when there is nothing to choose from. */
export const chosen = <Thing>(from: readonly Thing[], pick: number): Thing | undefined => from[pick % Math.max(1, from.length)];

const codes = [
  ...["RUNTIME_DIED", "STAGE_FAILED", "RUNTIME_DIED", "STAGE_INPUT_INVALID"],
  ...["STAGE_OUT_OF_MEMORY", "ENGINE_LOAD_FAILED", "ENGINE_LOAD_FAILED"],
];

export function agentOf({ agents }: Play, pick: number): Agent {
  const agent = chosen(agents, pick);
  if (agent === undefined) throw new TypeError("a play has agents");
  return agent;
}

/** One that the agent holds; one time in six any that ever was. */
function attemptOf({ model }: Play, agent: Agent, pick: number): ModelAttempt | undefined {
  const all = [...model.attempts.values()];
  const own = all.filter(({ id }) => agent.held.has(id));
  return pick % 6 === 5 || own.length === 0 ? chosen(all, pick) : chosen(own, pick);
}

/** A report of an attempt, mostly of success. */
function reportOf(attempt: ModelAttempt, pick: number): AttemptReport {
  const { id: attemptId, task } = attempt;
  const way = pick % 14;
  if (way < 6) return success({ attemptId, taskId: task.id });
  if (way === 6) return success({ attemptId, taskId: task.id }, pick % 28 === 6 ? [] : ["out"]);
  if (way === 7) return failure({ attemptId }, "STAGE_CANCELLED");
  const bad = inputsOf(task)
    .filter((_input, index) => (pick >> index) % 2 === 0)
    .map(({ sha256 }) => sha256);
  if (way < 11 && bad.length > 0) return failure({ attemptId }, "ARTIFACT_MISSING", bad);
  return failure({ attemptId }, chosen(codes, Math.floor(pick / 14)) ?? "INTERNAL");
}

function riding(play: Play, agent: Agent, pick: number): readonly AttemptReport[] {
  if (pick % 3 !== 0) return [];
  const attempt = attemptOf(play, agent, pick);
  if (attempt === undefined) return [];
  agent.held.delete(attempt.id);
  return [reportOf(attempt, pick)];
}

export function say(play: Play, message: Message, agent: Agent): void {
  play.said.push(message);
  if (message.kind !== "beat") agent.last = message;
}

export const describeReports = (reports: readonly AttemptReport[]): string =>
  reports.map(({ attemptId, outcome }) => ` ${attemptId} ${outcome.kind === "success" ? "succeeded" : outcome.code}`).join(",");

type Slots = Pick<NextAsk, "freeSlots" | "aheadSlots">;

async function ask(play: Play, [who, how, what]: Picks, slots: Slots): Promise<void> {
  const agent = agentOf(play, who);
  const said = askOf(agent, { reports: riding(play, agent, what), ...slots });
  say(play, { kind: "next", ask: said }, agent);
  const fate = how % 8 === 7 ? "delayed" : how % 8 === 6 ? "answer lost" : "answered";
  play.log.push(`${agent.name} asks${said.freeSlots === 0 ? " ahead" : ""} (${fate})${describeReports(said.reports)}`);
  if (fate === "delayed") return;
  const [claimed] = await sendNext(play, [said], what);
  if (claimed !== undefined && fate === "answered") agent.held.add(claimed);
}

const next: Operation = (play, picks) =>
  ask(play, picks, { freeSlots: picks[1] % 9 === 0 ? 0 : 1, aheadSlots: picks[1] % 9 === 1 ? 1 : 0 });

/** For a task to have at hand when the worker's run ends; mostly there is one for that. */
export const askAhead: Operation = async (play, picks) => {
  if (picks[2] % 4 > 0) await ripen(play, picks);
  await ask(play, picks, { freeSlots: 0, aheadSlots: 1 });
};

/** What is ready has been so for long enough to be claimed ahead, and for a run to make way for it. */
export const ripen: Operation = async (play) => {
  play.log.push("what is ready has waited for a while");
  for (const task of play.model.tasks) if (task.place === "ready") task.isRipe = true;
  await play.real?.world.sql("update ready set ready_at = now() - interval '1 second' where ready_at > now()");
};

/** Some tasks one after another: the report of each, as it ended, rides on the ask for the next. */
async function inARow(play: Play, [who, how, what]: Picks, ended: (attempt: ModelAttempt) => AttemptReport): Promise<void> {
  const agent = agentOf(play, who);
  for (let round = 0; round <= how % 5; round += 1) {
    const done = [...agent.held].flatMap((id) => play.model.attempts.get(id) ?? []);
    agent.held.clear();
    const ask = askOf(agent, { reports: done.map(ended) });
    say(play, { kind: "next", ask }, agent);
    play.log.push(`${agent.name} works${describeReports(ask.reports)}`);
    const [claimed] = await sendNext(play, [ask], what);
    if (claimed === undefined) return;
    agent.held.add(claimed);
  }
}

/** They go well. */
export const work: Operation = (play, picks) => inARow(play, picks, ({ id, task }) => success({ attemptId: id, taskId: task.id }));

/** They are given back, though mostly nobody ordered it. */
const refuse: Operation = (play, picks) => inARow(play, picks, ({ id }) => failure({ attemptId: id }, "STAGE_CANCELLED"));

/** Two workers' asks in one call. */
const together: Operation = async (play, [who, , what]) => {
  const pair = [agentOf(play, who), agentOf(play, who + 1)];
  const asks = pair.map((agent) => askOf(agent, { reports: riding(play, agent, what) }));
  for (const [index, agent] of pair.entries()) {
    const ask = asks[index];
    if (ask !== undefined) say(play, { kind: "next", ask }, agent);
  }
  play.log.push(`${pair.map(({ name }) => name).join(" and ")} ask${describeReports(asks.flatMap(({ reports }) => reports))}`);
  const claimed = await sendNext(play, asks, what);
  for (const [index, agent] of pair.entries()) {
    const own = claimed[index];
    if (own !== undefined) agent.held.add(own);
  }
};

const report: Operation = async (play, [who, how, what]) => {
  const agent = agentOf(play, who);
  const attempt = attemptOf(play, agent, what);
  if (attempt === undefined) return;
  agent.held.delete(attempt.id);
  agent.sequence += 1;
  const ask: ReportAsk = { sessionId: agent.sessionId, sequence: agent.sequence, farmEpoch: 0, reports: [reportOf(attempt, how)] };
  say(play, { kind: "report", ask }, agent);
  const isDelayed = how % 7 === 6;
  play.log.push(`${agent.name} reports${isDelayed ? " (delayed)" : ""}${describeReports(ask.reports)}`);
  if (!isDelayed) await sendReport(play, ask);
};

const phases = ["compute", "compute", "fetch", "compute", "finish"] as const;
/** The pick by which a beat tells of fetching. */
export const fetches = phases.indexOf("fetch");

/** What a beat says of an attempt: half of the time also a checkpoint, which it announces with the same breath. */
function beatFor({ model }: Play, attemptId: string, pick: number): BeatAsk["attempts"][number] {
  const phase = chosen(phases, pick) ?? "compute";
  const said = { attemptId, phase, step: pick % 7 === 0 ? 49 : 1, steps: 50, deviceMs: (pick % 50) * longMs, announcedArtifacts: [] };
  const attempt = model.attempts.get(attemptId);
  return attempt === undefined || pick % 2 === 0 ? said : withCheckpoint(said, attempt, 1 + (pick % 40));
}

/** So long, against the time that a play takes, that a run has more left than it would compute twice. */
export const longMs = 1e6;

export function withCheckpoint(said: BeatAsk["attempts"][number], { task }: ModelAttempt, step: number): BeatAsk["attempts"][number] {
  const checkpoint = checkpointOf({ taskId: task.id }, step);
  return { ...said, checkpoint, announcedArtifacts: [{ ...checkpoint, name: "checkpoint", mediaType: "text/plain" }] };
}

/** Of most of what the agent holds. */
export const beat: Operation = async (play, [who, how, what]) => {
  const agent = agentOf(play, who);
  agent.beatSequence += 1;
  const named = [...agent.held].filter((_attemptId, index) => (what >> index) % 3 !== 2);
  const attempts = named.map((attemptId) => beatFor(play, attemptId, how));
  const ask: BeatAsk = { sessionId: agent.sessionId, sequence: agent.beatSequence, farmEpoch: 0, attempts };
  say(play, { kind: "beat", ask }, agent);
  const isDelayed = how % 6 === 5;
  play.log.push(`${agent.name} beats${isDelayed ? " (delayed)" : ""} for ${named.join(", ") || "nothing"}`);
  if (!isDelayed) await sendBeat(play, ask);
};

async function deliver(play: Play, message: Message, pick: number): Promise<string | undefined> {
  switch (message.kind) {
    case "next":
      return (await sendNext(play, [message.ask], pick))[0];
    case "report":
      await sendReport(play, message.ask);
      return undefined;
    case "beat":
      await sendBeat(play, message.ask);
      return undefined;
  }
}

/** A worker that heard no answer says the same again. */
const again: Operation = async (play, [who, , what]) => {
  const agent = agentOf(play, who);
  if (agent.last === undefined) return;
  play.log.push(`${agent.name} says its last ${agent.last.kind} again`);
  const claimed = await deliver(play, agent.last, what);
  if (claimed !== undefined) agent.held.add(claimed);
};

/** Anything that was ever said arrives now, perhaps for the second time; nobody hears the answer. */
const late: Operation = async (play, [which, , what]) => {
  const message = chosen(play.said, which);
  if (message === undefined) return;
  play.log.push(`${message.kind} ${message.ask.sequence} of session ${message.ask.sessionId} arrives late`);
  await deliver(play, message, what);
};

/** Workers die and start anew, one after another, and take what the last one left. */
const startAnew: Operation = async (play, [who, how, what]) => {
  for (let round = 0; round <= how % 4; round += 1) {
    const agent = agentOf(play, who + round * (what % 2));
    play.log.push(`${agent.name} starts anew`);
    restart(play, agent);
    if (how % 3 > 0) await next(play, [who + round * (what % 2), 1, what]);
  }
};

export const leave: Operation = async (play, [who, , what]) => {
  const agent = agentOf(play, who);
  const ask: NextAsk = askOf(agent, { leaving: true, freeSlots: 0 });
  say(play, { kind: "next", ask }, agent);
  play.log.push(`${agent.name} leaves`);
  await sendNext(play, [ask], what);
  agent.held.clear();
};

/** Nobody hears of a session for longer than its lease. */
const lapse: Operation = async (play, [which]) => {
  const session = chosen(liveSessions(play.model), which);
  if (session !== undefined) await lapseOf(play, session);
};

export async function lapseOf(play: Play, session: ModelSession): Promise<void> {
  play.log.push(`the lease of session ${session.id} runs out`);
  session.lapsedAt = tick(play.model);
  const at = "timestamptz '2000-01-01' + $2 * interval '1 second'";
  await play.real?.world.sql(`update session set lease_until = ${at} where id = $1`, [session.id, session.lapsedAt]);
}

/** A lease passes in which a session's beats leave out what they left out. */
const overlook: Operation = async (play, [which]) => {
  const { model, real } = play;
  const unnamed = [...model.attempts.values()].filter((attempt) => isRunning(attempt) && attempt.naming === "unnamed");
  const session = chosen(unnamed, which)?.session;
  if (session === undefined) return;
  play.log.push(`session ${session.id} leaves attempts out for a lease`);
  for (const attempt of unnamed) if (attempt.session === session) attempt.naming = "overdue";
  const where = "session_id = $1 and state = 'running' and unnamed_since is not null";
  await real?.world.sql(`update attempt set unnamed_since = unnamed_since - interval '2 days' where ${where}`, [session.id]);
};

/** A coordinator dies, another answers. */
const otherCoordinator: Operation = (play) => {
  play.coordinator += 1;
  play.log.push(storeOf(play) === undefined ? "-" : "another coordinator answers");
  return Promise.resolve();
};

export const workerOperations = {
  next,
  askAhead,
  ripen,
  work,
  refuse,
  together,
  report,
  beat,
  again,
  late,
  startAnew,
  leave,
  lapse,
  overlook,
  otherCoordinator,
};
