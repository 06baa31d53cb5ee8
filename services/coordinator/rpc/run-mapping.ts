/**
 * Runs and their renders as clients see them.
 *
 * A render that is open has each metric of its run, pending where there is no value yet. One that failed or was cancelled has those alone that were
 * computed, or failed themselves, before it ended: why the others are not there is its own failure.
 */
import { metricNames } from "../../domain/vbench/metric.ts";
import type { RunItem } from "../../gen/proto/vapfarm/v1/bench.ts";
import { Run, Score, type SetScore, type StageSeconds } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { RunItemView, RunView, ScoreTask, ScoreValue, StageTime, StoredSetScore } from "../store/store-contract.ts";
import { vbenchAggregator } from "../../domain/vbench/set-scores.ts";
import { suiteRowToProto } from "./suite-mapping.ts";
import { aggregators, metrics, runReuses, scoreStatuses } from "./wire-names.ts";

/** A run without what its clips come to. */
export function runToProto(run: RunView): Run {
  const { renderCounts, createdAt, endedAt, reuse, scoreCount, endedScores, ...rest } = run;
  return Run.create({
    ...rest,
    metrics: run.metrics.map((metric) => metrics[metric]),
    reuse: runReuses[reuse],
    itemCount: renderCounts.total,
    succeededCount: renderCounts.succeeded,
    failedCount: renderCounts.failed,
    cancelledCount: renderCounts.cancelled,
    createTime: createdAt,
    endTime: endedAt,
    endedScores,
    scoreCount,
  });
}

/** One aggregate of a run's clips. */
export function setScoreToProto({ metric, aggregator, value, count, missingCount }: StoredSetScore): SetScore {
  const isVbench = aggregator === vbenchAggregator(metric);
  return { metric: metrics[metric], aggregator: aggregators[aggregator], value, count, missingCount, isVbench };
}

/** A render of a run with the metrics that were asked for. */
export function runItemToProto(item: RunItemView, asked: RunView["metrics"]): RunItem {
  const { failure, position, row, seedIndex, seed, state, videoSha256 } = item;
  return {
    renderPosition: position,
    row: suiteRowToProto(row),
    seedIndex,
    seed,
    state,
    failureCode: failure?.code ?? "",
    failureMessage: failure?.message ?? "",
    failureStage: failure?.stage ?? "",
    videoSha256: videoSha256 ?? "",
    scores: scoresOf(item, asked),
    stages: item.stages.map(stageToProto),
  };
}

/** In order of metric. */
function scoresOf({ state, scores }: RunItemView, asked: RunView["metrics"]): Score[] {
  const isOpen = state === "queued" || state === "running";
  const tasks = new Map(scores.map((task) => [task.metric, task]));
  return metricNames.flatMap((metric) => {
    const outcome = tasks.get(metric)?.outcome ?? (isOpen && asked.includes(metric) ? ({ kind: "open" } as const) : undefined);
    if (outcome === undefined) return [];
    // What an ended render did not come to is not pending, and its cancelled scores did not fail.
    const isLeft = outcome.kind === "open" || (outcome.kind === "failed" && outcome.code === "");
    return isLeft && !isOpen && state !== "succeeded" ? [] : [scoreToProto(metric, outcome)];
  });
}

function scoreToProto(metric: ScoreTask["metric"], outcome: ScoreTask["outcome"]): Score {
  const named = { metric: metrics[metric] };
  switch (outcome.kind) {
    case "value":
      return Score.create({ ...named, ...valueToProto(outcome.value) });
    case "open":
      return Score.create({ ...named, status: scoreStatuses.pending });
    case "failed": {
      const reason = outcome.code === "" ? "was cancelled" : `${outcome.code}: ${outcome.message}`;
      return Score.create({ ...named, status: scoreStatuses.error, reason });
    }
  }
}

function valueToProto({ status, value, vbenchValue, extra, series, ...rest }: ScoreValue): Partial<Score> {
  return {
    ...rest,
    status: scoreStatuses[status],
    value: value ?? undefined,
    vbenchValue: vbenchValue ?? undefined,
    extraJson: JSON.stringify(extra),
    series: series.map(({ name, values }) => ({ name, values: [...values] })),
  };
}

function stageToProto({ stage, computeMs, loadMs, isReused }: StageTime): StageSeconds {
  return { stage, computeSeconds: computeMs / 1000, loadSeconds: loadMs / 1000, isReused };
}
