/**
 * The model's preemption: the duty's snapshot, the domain's choice from it, and what of that still holds when it is applied.
 */
import {
  choosePreemptions,
  type Preemptable,
  type PreemptionPolicy,
  type PreemptionReason,
  type RunningAttempt,
  type WaitingTask,
} from "../../../services/domain/preemption.ts";
import type { PreemptionRound } from "../../../services/coordinator/store/store-contract.ts";
import { couldTake, runningOf } from "./model-dispatch.ts";
import { isHeld, isSteered, stopLevel } from "./model-levels.ts";
import { expectedMs } from "./model-tasks.ts";
import {
  closeSlot,
  isRunning,
  type Model,
  type ModelAttempt,
  type ModelPreemption,
  type ModelSession,
  type ModelTask,
} from "./queue-model.ts";

type Victim = ReturnType<typeof choosePreemptions>[number];

/** Of a task's best user: class, priority, and which job it is. Undefined when nobody wants it. */
function standingOf(model: Model, task: ModelTask): { classRank: number; priority: number; age: number } | undefined {
  const jobs = new Set([...task.uses].filter((use) => use.isWanted).map(({ render }) => render.job));
  const standings = [...jobs].map((job) => ({ classRank: Number(job.isBenchmark), priority: job.priority, age: model.jobs.indexOf(job) }));
  return standings.toSorted(byStanding)[0];
}

type Standing = NonNullable<ReturnType<typeof standingOf>>;
const byStanding = (left: Standing, right: Standing): number =>
  left.classRank - right.classRank || right.priority - left.priority || left.age - right.age;

/** The ready tasks of one lane, and those of them that wait for a slot. */
export type Lane = { readonly ready: readonly ModelTask[]; readonly waiting: readonly ModelTask[] };

/** The lanes that the duty looks into: of each it looks at two tasks, which the order of claims chooses. */
export function lanesOf(model: Model): readonly Lane[] {
  if (model.holds.has("farm/") || model.holds.has("pool/pool")) return [];
  const served = new Set([...model.workers.values()].flatMap(({ session, shapes }) => (session.isLive ? shapes : [])));
  const lanes = new Map<string, ModelTask[]>();
  for (const task of model.tasks) {
    const standing = standingOf(model, task);
    if (task.place !== "ready" || standing === undefined || !served.has(task.shape) || isHeld(model, task)) continue;
    const name = [task.shape, standing.classRank, standing.priority, task.tenant].join();
    lanes.set(name, [...(lanes.get(name) ?? []), task]);
  }
  return [...lanes.values()].map((ready) => ({ ready, waiting: ready.filter(({ isRipe, slot }) => isRipe && slot === undefined) }));
}

/** Those tasks in the order in which they are given slots. */
export function inOrder(model: Model, tasks: readonly ModelTask[]): readonly ModelTask[] {
  const ranked = tasks.flatMap((task) => {
    const standing = standingOf(model, task);
    return standing === undefined ? [] : [{ task, standing }];
  });
  return ranked
    .toSorted((left, right) => byStanding(left.standing, right.standing) || left.task.id - right.task.id)
    .map(({ task }) => task);
}

function waitingOf(model: Model, task: ModelTask): readonly WaitingTask[] {
  const standing = standingOf(model, task);
  if (standing === undefined) return [];
  const { classRank, priority } = standing;
  const { id: taskId, shape, avoid } = task;
  return [{ taskId, pool: "pool", shape, memoryBytes: 0, classRank, priority, avoid, deadlineMs: null, slackMs: null }];
}

function runningFacts(model: Model, attempt: ModelAttempt): readonly RunningAttempt[] {
  const { id: attemptId, number, task, session, deviceMs: ranMs } = attempt;
  const standing = standingOf(model, task);
  if (standing === undefined) return [];
  const { classRank, priority } = standing;
  const said = session.progress.find((each) => each.attemptId === attemptId);
  return [
    {
      attemptId,
      taskId: task.id,
      number,
      pool: "pool",
      workerId: session.worker,
      classRank,
      priority,
      deadlineMs: null,
      phase: said?.phase ?? "fetch",
      step: said?.step ?? 0,
      steps: said?.steps ?? 0,
      ranMs,
      keepsCheckpoints: false,
      unkeptMs: task.checkpoint?.attempt === attempt ? model.now - task.checkpoint.keptAt : null,
      expectedMs: expectedMs(model, task.shape),
      timesPreempted: timesPreempted(model, task),
    },
  ];
}

const timesPreempted = ({ preemptions }: Model, task: ModelTask): number =>
  preemptions.filter(({ attempt, hasMadeWay }) => attempt.task === task && hasMadeWay).length;

const openOf = ({ preemptions }: Model): readonly ModelPreemption[] => preemptions.filter(({ outcome }) => outcome === undefined);
const isServed = ({ isLive, lapsedAt }: ModelSession): boolean => isLive && lapsedAt === undefined;

/** What the duty sees, with the tasks that it looks at. */
function snapshotOf(model: Model, heads: readonly ModelTask[]): Preemptable {
  const served = [...model.workers.values()].filter(({ session }) => isServed(session));
  return {
    waiting: heads.flatMap((task) => waitingOf(model, task)),
    running: runningOf(
      model,
      served.map(({ session }) => session),
    ).flatMap((attempt) => runningFacts(model, attempt)),
    workers: served
      .filter(({ name }) => !isSteered(model, name))
      .map(({ name, shapes }) => ({ workerId: name, pool: "pool", shapes, memoryBytes: 1_000 })),
    open: openOf(model).map(({ attempt }) => ({ pool: "pool", workerId: attempt.session.worker })),
  };
}

/** One round of the duty, which looks at those waiting tasks. */
export function preempt(
  model: Model,
  heads: readonly ModelTask[],
  policy: PreemptionPolicy,
): Pick<PreemptionRound, "opened" | "closed"> & { readonly stops: readonly string[] } {
  model.justShut.clear();
  const chosen = heads.length === 0 ? [] : choosePreemptions(snapshotOf(model, heads), policy);
  for (const each of openOf(model)) closeSlotOf(model, each, policy);
  const opened = chosen.flatMap((victim) => open(model, victim, policy));
  const ended = model.preemptions.filter(({ outcome, isCounted }) => outcome !== undefined && !isCounted);
  for (const each of ended) each.isCounted = true;
  return { opened, closed: ended.flatMap(({ outcome }) => outcome ?? []), stops: model.stops.splice(0) };
}

/** Ends a preemption that keeps its slot for nothing. */
function closeSlotOf(model: Model, { attempt, beneficiary, reason, isOverdue }: ModelPreemption, policy: PreemptionPolicy): void {
  const { worker } = attempt.session;
  const isLast = isRunning(attempt) && outranks(model, { beneficiary, victim: attempt.task, reason }, policy) === false;
  if (model.workers.get(worker)?.session.isLive !== true) closeSlot(beneficiary, "worker_gone");
  else if (isLast || !couldTake(model, worker, beneficiary)) closeSlot(beneficiary, "withdrawn");
  else if (isOverdue) closeSlot(beneficiary, "expired");
}

type Pair = { readonly beneficiary: ModelTask; readonly victim: ModelTask; readonly reason: PreemptionReason };

/** Undefined when nobody wants one of them. */
function outranks(model: Model, { beneficiary, victim, reason }: Pair, { priorityMargin }: PreemptionPolicy): boolean | undefined {
  const [waits, runs] = [standingOf(model, beneficiary), standingOf(model, victim)];
  if (waits === undefined || runs === undefined) return undefined;
  if (reason === "class") return waits.classRank < runs.classRank;
  return waits.classRank === runs.classRank && waits.priority >= runs.priority + priorityMargin;
}

/** Opens what still may be; the reason, if it may. */
function open(model: Model, { attemptId, beneficiaryId, reason, losesAll }: Victim, policy: PreemptionPolicy): readonly PreemptionReason[] {
  const attempt = model.attempts.get(attemptId);
  const beneficiary = model.tasks.find(({ id }) => id === beneficiaryId);
  if (attempt === undefined || beneficiary === undefined) return [];
  const { task, session } = attempt;
  const isSound =
    isRunning(attempt) &&
    stopLevel(model, attempt) === undefined &&
    (losesAll || task.checkpoint?.attempt === attempt) &&
    timesPreempted(model, task) < policy.mostTimes &&
    couldTake(model, session.worker, beneficiary) &&
    outranks(model, { beneficiary, victim: task, reason }, policy) === true &&
    openOf(model).length < policy.mostOpen &&
    beneficiary.slot === undefined;
  if (!isSound) return [];
  const made: ModelPreemption = {
    attempt,
    beneficiary,
    reason,
    hasMadeWay: false,
    outcome: undefined,
    isOverdue: false,
    isCounted: false,
  };
  beneficiary.slot = made;
  model.preemptions.push(made);
  return [reason];
}
