/**
 * A violation to be planted, and what must be found of it.
 */
import type { Line, Planter } from "../plant.ts";
import type { SmallFarm } from "../small-farm.ts";
import type { Violation } from "../violation.ts";

/** What a rule is known by. */
type Named = { readonly sentence: string };

export type Planted = {
  /** What is planted, as the start of a sentence. */
  readonly what: string;
  readonly plant: (planter: Planter, small: SmallFarm) => Promise<readonly Violation[]>;
  readonly breaks: Named;
  /** Other promises that the same violation may break. */
  readonly also?: readonly Named[];
};

/** The denoise of a job, as a subquery. */
export const denoiseOf = (jobId: string): string =>
  `(select t.id from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id
    where r.job_id = '${jobId}' and t.stage = 'denoise')`;

type Is = (line: Line) => boolean;

/** Accepts only the first line that is accepted. */
export function first(isIt: Is): Is {
  let isDone = false;
  return (line) => {
    if (isDone || !isIt(line)) return false;
    isDone = true;
    return true;
  };
}

export const changing = (isIt: Is, change: (line: Line) => object) => (line: Line) => (isIt(line) ? [change(line)] : [line]);
export const dropping = (isIt: Is) => (line: Line) => (isIt(line) ? [] : [line]);
export const doubling = (isIt: Is) => (line: Line) => (isIt(line) ? [line, line] : [line]);

/** A line of that kind with this in it. */
export const has =
  (kind: string, text: string): Is =>
  (line) =>
    line.kind === kind && JSON.stringify(line).includes(text);

/** The line with one text for another. */
export const rewritten =
  (from: string | RegExp, to: string) =>
  (line: Line): object =>
    JSON.parse(JSON.stringify(line).replaceAll(from, to)) as object;
