/**
 * What the model's farm thinks of an attempt, and what it remembers of one that it told to stop.
 */
import { isOpenRender } from "../../../services/domain/render-state.ts";
import type { Level } from "../../../services/coordinator/store/store-contract.ts";
import { isRunning, isWanted, type Model, type ModelAttempt, type ModelTask } from "./queue-model.ts";

/** Whether an operator's word keeps the worker from getting anything. */
export function isSteered({ holds, cordons }: Model, worker: string): boolean {
  return holds.has("farm/") || holds.has("pool/pool") || cordons.has(worker);
}

export const isHeld = ({ holds }: Model, { tenant }: ModelTask): boolean => holds.has(`tenant/${tenant}`);

/** Of an attempt's preemptions one that keeps its slot, or that gave it to what its worker has now. */
function makesWay({ preemptions }: Model, attempt: ModelAttempt): boolean {
  return preemptions.some((each) => each.attempt === attempt && (each.outcome === undefined || isGivenTo(each.beneficiary, each)));
}

const isGivenTo = ({ current }: ModelTask, { attempt, outcome }: Model["preemptions"][number]): boolean =>
  outcome === "given" && current?.session.worker === attempt.session.worker;

/** What tells a current attempt to stop. */
export function stopLevel(model: Model, attempt: ModelAttempt): Exclude<Level, "wanted"> | undefined {
  const { worker } = attempt.session;
  if (!isWanted(attempt.task)) return "unwanted";
  if (attempt.place === "reserved" && (isSteered(model, worker) || isHeld(model, attempt.task))) return "revoked";
  if (model.cordons.get(worker)?.isDrained === true) return "drain";
  return makesWay(model, attempt) ? "preempt" : undefined;
}

/** What the farm says of an attempt. */
export function levelOf(model: Model, attemptId: string): Level {
  const attempt = model.attempts.get(attemptId);
  return attempt === undefined || !isRunning(attempt) ? "revoked" : (stopLevel(model, attempt) ?? "wanted");
}

/** To be called before an attempt ends without a result: whether it was told to is counted, unless nobody knows since when. */
export function noteStop(model: Model, attempt: ModelAttempt): void {
  const level = stopLevel(model, attempt);
  if (level === undefined || level === "revoked") return;
  const isSince = level !== "unwanted" || [...attempt.task.uses].some(({ render }) => !isOpenRender(render.state));
  if (isSince) model.stops.push(level);
}
