/**
 * How runs make way in a play: something urgent comes while all are busy, the duty chooses, and workers do as they are told, or not.
 */
import type { BeatAsk } from "../../../services/coordinator/store/store-contract.ts";
import { defaultPreemption, type PreemptionPolicy } from "../../../services/domain/preemption.ts";
import { failure, task } from "../store-world.ts";
import { cancelIn, epochOf, jobOf, setPriority, submitJob } from "./farm-operations.ts";
import { levelOf } from "./model-levels.ts";
import { inOrder, type Lane, lanesOf, preempt as preemptModel } from "./model-preemption.ts";
import { type Agent, askOf, type Play, same, sendBeat, sendNext, sendReport, storeOf } from "./play.ts";
import { isRunning, type ModelPreemption, type ModelTask, wrong } from "./queue-model.ts";
import { agentOf, describeReports, leave, longMs, type Operation, ripen, say, withCheckpoint } from "./worker-operations.ts";

/** Nothing of it passes by itself: a slot is overdue when a play says so. */
const policy: PreemptionPolicy = {
  ...defaultPreemption,
  graceMs: 0,
  minRunMs: 10 * longMs,
  priorityMargin: 3,
  mostTimes: 1,
  mostOpen: 2,
  leastLeftMs: 0,
  lostShare: longMs,
  keepSlotMs: 3_600_000,
};

/** How many tasks of a lane the duty looks at. */
const looks = 2;

/** Of each lane those that wait among the two that are looked at: which, the store's order says. */
async function headsOf({ model, real }: Play): Promise<readonly ModelTask[]> {
  const lanes = lanesOf(model);
  if (real === undefined) {
    const looked = lanes.flatMap(({ ready, waiting }) =>
      inOrder(model, ready)
        .slice(0, looks)
        .filter((each) => waiting.includes(each)),
    );
    return inOrder(model, looked);
  }
  const seen = await real.world.sql<{ id: string }>(
    "select q.task_id as id from vf_waiting_heads(0) q order by q.class_rank, q.priority desc, q.queued_at, q.task_id",
  );
  const ids = seen.map(({ id }) => Number(id));
  const ordered = inOrder(
    model,
    lanes.flatMap((lane) => headsOfLane(lane, ids)),
  );
  same(
    "tasks that wait for a slot",
    ids,
    ordered.map(({ id }) => id),
  );
  return ordered;
}

/** At most two; as many as there must be when the others of the two do not wait. */
function headsOfLane({ ready, waiting }: Lane, ids: readonly number[]): readonly ModelTask[] {
  const heads = waiting.filter(({ id }) => ids.includes(id));
  const least = Math.min(looks, ready.length) - (ready.length - waiting.length);
  if (heads.length > looks || heads.length < least) {
    wrong(`of a lane of ${ready.length} tasks, of which ${waiting.length} wait for a slot, the store sees ${heads.length}`);
  }
  return heads;
}

const preempt: Operation = async (play) => {
  play.log.push("runs may be told to make way");
  const heads = await headsOf(play);
  const round = await storeOf(play)?.preempt(await epochOf(play, "preemption"), policy);
  const expected = preemptModel(play.model, heads, policy);
  if (round === undefined) return;
  same("opened", round.opened, expected.opened);
  same("closed", round.closed.toSorted(), expected.closed.toSorted());
  same("stops", round.stops.map(({ level }) => level).toSorted(), expected.stops.toSorted());
  const told = play.model.preemptions.slice(play.model.preemptions.length - expected.opened.length).map(({ attempt }) => attempt);
  same(
    "pushes",
    round.aftermath.pushes ?? [],
    told.map(({ id, session }) => ({ workerId: session.worker, attemptId: id, level: "preempt" })),
  );
};

/** All that the agent holds is in a long compute, with a checkpoint that was just told. */
async function computeOn(play: Play, agent: Agent, pick: number): Promise<void> {
  agent.beatSequence += 1;
  const attempts = [...agent.held].flatMap((id): BeatAsk["attempts"] => {
    const attempt = play.model.attempts.get(id);
    const said = { attemptId: id, phase: "compute", step: 1, steps: 50, deviceMs: 10 * longMs, announcedArtifacts: [] } as const;
    return attempt === undefined ? [] : [pick % 4 === 0 ? said : withCheckpoint(said, attempt, 1 + (pick % 40))];
  });
  await sendBeat(play, { sessionId: agent.sessionId, sequence: agent.beatSequence, farmEpoch: 0, attempts });
}

/** A worker that has heard what it should stop does so, and asks for work. */
const obey: Operation = async (play, [who, how, what]) => {
  const agent = agentOf(play, who);
  const stopped = [...agent.held].filter((id) => levelOf(play.model, id) !== "wanted");
  for (const id of stopped) agent.held.delete(id);
  const isBusy = agent.held.size > 0;
  const reports = stopped.map((attemptId) => failure({ attemptId }, "STAGE_CANCELLED"));
  const ask = askOf(agent, { reports, freeSlots: isBusy || how % 5 === 0 ? 0 : 1, aheadSlots: 1 });
  say(play, { kind: "next", ask }, agent);
  play.log.push(`${agent.name} stops as it was told${describeReports(reports)}`);
  const [claimed] = await sendNext(play, [ask], what);
  if (claimed !== undefined) agent.held.add(claimed);
};

/** All workers are busy with long runs, and something comes that goes before most. */
const press: Operation = async (play, [what, how, pick]) => {
  const domain = `${what % 2}`;
  play.log.push("all compute, and something urgent comes");
  const long = ["a", "b", "c", "d"].map((name) => [task(`long ${play.jobs}${name}`, { domain })]);
  await submitJob(play, { ...jobOf(play, long, [what, how]), jobClass: how % 2 === 0 ? "benchmark" : "production" });
  const idle = play.agents.filter(({ held }) => held.size === 0);
  const asks = idle.map((agent) => askOf(agent));
  for (const [index, claimed] of (await sendNext(play, asks, pick)).entries()) if (claimed !== undefined) idle[index]?.held.add(claimed);
  for (const agent of play.agents) await computeOn(play, agent, pick + agent.held.size);
  const urgent = task(`urgent ${play.jobs}`, { domain, shape: how % 3 === 0 ? "prepare/-" : "denoise/e1" });
  await submitJob(play, { ...jobOf(play, [[urgent]], [what, how]), priority: 3 + (how % 7), jobClass: "production" });
  await ripen(play, [what, how, pick]);
  await preempt(play, [what, how, pick]);
  if (pick % 3 === 0) for (const who of play.agents.keys()) await obey(play, [who, how, pick]);
};

/** The run that makes way is given back, its worker asks for nothing, and its slot is kept for longer than that. */
async function keepLong(play: Play, { attempt }: ModelPreemption, agent: Agent): Promise<void> {
  if (agent.held.delete(attempt.id)) {
    agent.sequence += 1;
    const reports = [failure({ attemptId: attempt.id }, "STAGE_CANCELLED")];
    await sendReport(play, { sessionId: agent.sessionId, sequence: agent.sequence, farmEpoch: 0, reports });
  }
  play.log.push("slots were kept for long enough");
  for (const each of play.model.preemptions) if (!isRunning(each.attempt)) each.isOverdue = true;
  await play.real?.world.sql(
    "update attempt set ended_at = ended_at - interval '2 days' where state <> 'running' and id in (select p.attempt_id from preemption p)",
  );
}

const jobOfTask = ({ uses }: ModelTask): string => [...uses].find(({ isWanted }) => isWanted)?.render.job.id ?? "none";

/** A slot that is kept is needed no more: for each reason that there is. */
const unsettle: Operation = async (play, [what, how, pick]) => {
  const isOpen = (): ModelPreemption | undefined => play.model.preemptions.findLast(({ outcome }) => outcome === undefined);
  if (isOpen() === undefined) await press(play, [what, how, 1]);
  const open = isOpen();
  const who = play.agents.findIndex(({ name }) => name === open?.attempt.session.worker);
  const agent = play.agents[who];
  if (open === undefined || agent === undefined) return;
  if (pick % 5 === 0) await setPriority(play, jobOfTask(open.beneficiary), 0);
  if (pick % 5 === 1) await setPriority(play, jobOfTask(open.attempt.task), 9);
  if (pick % 5 === 2) await cancelIn(play, { jobId: jobOfTask(open.beneficiary), position: undefined });
  if (pick % 5 === 3) await leave(play, [who, how, pick]);
  if (pick % 5 === 4) await keepLong(play, open, agent);
  await preempt(play, [what, how, pick]);
};

export const preemptionOperations = { preempt, press, obey, unsettle };
