/**
 * Seconds per stage over a run. A task that several renders share counts with each of them, as the farm tells it.
 */
import { stageNames } from "../../../domain/stage.ts";
import type { ClipRow } from "./clip-rows.ts";

/** One stage; seconds are of tasks that were computed for this run. */
export type StageSummary = {
  readonly stage: string;
  readonly computed: number;
  readonly reused: number;
  readonly meanSeconds: number;
  readonly medianSeconds: number;
  readonly largestSeconds: number;
  readonly totalSeconds: number;
  readonly loadSeconds: number;
};

const order: readonly string[] = stageNames;

/** In the order of a render, then panels and scores; what this release does not know comes last, by name. */
export function summarizeStages(clips: readonly ClipRow[]): readonly StageSummary[] {
  const stages = new Set(clips.flatMap((clip) => clip.stages.map(({ stage }) => stage)));
  return [...stages].sort(byPlace).map((stage) => {
    const all = clips.flatMap((clip) => clip.stages.filter((each) => each.stage === stage));
    const computed = all.filter(({ isReused }) => !isReused);
    const seconds = computed.map(({ computeSeconds }) => computeSeconds).sort((left, right) => left - right);
    const totalSeconds = seconds.reduce((sum, each) => sum + each, 0);
    return {
      stage,
      computed: computed.length,
      reused: all.length - computed.length,
      meanSeconds: seconds.length === 0 ? 0 : totalSeconds / seconds.length,
      medianSeconds: medianOf(seconds),
      largestSeconds: seconds.at(-1) ?? 0,
      totalSeconds,
      loadSeconds: computed.reduce((sum, { loadSeconds }) => sum + loadSeconds, 0),
    };
  });
}

function byPlace(left: string, right: string): number {
  return placeOf(left) - placeOf(right) || left.localeCompare(right);
}

function placeOf(stage: string): number {
  const known = order.indexOf(stage);
  return known >= 0 ? known : order.length;
}

/** Of sorted numbers. */
function medianOf(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
