/**
 * Runs, their renders with scores and seconds, and what their sets come to.
 *
 * Invariants: a page of renders is one statement; a run's counts are its job's.
 */
import { runStatement } from "../../platform/database/pool.ts";
import type { MetricName } from "../../domain/vbench/metric.ts";
import type { EndedRun, MetricClips, RunItemView, RunStore, RunView, ScoreTask, ScoreValue, StageTime } from "./bench-contract.ts";
import type { JobState, RenderState, Reuse } from "./job-contract.ts";
import {
  clipScoresStatement,
  dropStaleSetScoresStatement,
  findRunsStatement,
  listRunsStatement,
  runItemsStatement,
  storeSetScoresStatement,
  unscoredRunsStatement,
} from "./sql/runs.ts";
import { type StoreContext, toPayload } from "./store-context.ts";
import { pageOf, type SuiteRowDbRow, suiteRowFromRow } from "./suites.ts";

type RunRow = {
  readonly id: string;
  readonly created_at_us: string;
  readonly tenant_id: string;
  readonly suite_id: string;
  readonly suite_name: string;
  readonly label: string;
  readonly model: string;
  readonly model_digest: string;
  readonly has_trained_weights: boolean;
  readonly metrics_model: string;
  readonly has_trained_metrics: boolean;
  readonly metrics: readonly MetricName[];
  readonly seeds: number;
  readonly panels: boolean;
  readonly steps: number;
  readonly guidance_scale: number;
  readonly settings_digest: string;
  readonly state: JobState;
  readonly reuse: Reuse;
  readonly created_at: Date;
  readonly ended_at: Date | null;
  readonly render_total: number;
  readonly render_queued: number;
  readonly render_running: number;
  readonly render_succeeded: number;
  readonly render_failed: number;
  readonly render_cancelled: number;
  readonly ended_scores: number;
};

type ItemRow = SuiteRowDbRow & {
  readonly render_position: number;
  readonly seed_index: number;
  readonly render_seed: string;
  readonly state: RenderState;
  readonly failure_code: string | null;
  readonly failure_message: string | null;
  readonly failure_stage: string | null;
  readonly video_sha256: string | null;
  readonly scores: readonly ScoreRow[];
  readonly stages: readonly StageTime[];
};

type ScoreRow = {
  readonly metric: MetricName;
  readonly state: string;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly value: ScoreValue | null;
};

/** The part of the store that reads runs; they are stored with their jobs. */
export function createRuns({ pool }: StoreContext): RunStore {
  return {
    async findRuns(scope, idBegin, limit) {
      return (await runStatement<RunRow>(pool, findRunsStatement, [scope ?? null, idBegin, limit])).map(runFromRow);
    },
    async listRuns({ tenant, suiteId, after, limit }) {
      const values = [tenant, suiteId ?? null, after?.createdAtUs ?? null, after?.id ?? null, limit + 1];
      return pageOf(await runStatement<RunRow>(pool, listRunsStatement, values), limit, runFromRow);
    },
    async listRunItems({ runId, afterPosition, limit, withSeries }) {
      const values = [runId, afterPosition ?? null, limit, withSeries];
      return (await runStatement<ItemRow>(pool, runItemsStatement, values)).map(itemFromRow);
    },
    clipScores: (runId) => runStatement<MetricClips>(pool, clipScoresStatement, [runId]),
    async storeSetScores({ runId, endedAt }, scores) {
      await runStatement(pool, storeSetScoresStatement, [runId, toPayload(scores), endedAt.toISOString()]);
    },
    unscoredRuns: (limit) => runStatement<EndedRun>(pool, unscoredRunsStatement, [limit]),
    async dropStaleSetScores() {
      await runStatement(pool, dropStaleSetScoresStatement, []);
    },
  };
}

function runFromRow(row: RunRow): RunView {
  return {
    runId: row.id,
    tenant: row.tenant_id,
    suiteId: row.suite_id,
    suiteName: row.suite_name,
    label: row.label,
    model: row.model,
    modelDigest: row.model_digest,
    hasTrainedWeights: row.has_trained_weights,
    metricsModel: row.metrics_model,
    hasTrainedMetrics: row.has_trained_metrics,
    metrics: row.metrics,
    seeds: row.seeds,
    panels: row.panels,
    steps: row.steps,
    guidanceScale: row.guidance_scale,
    settingsDigest: row.settings_digest,
    ...progressOf(row),
  };
}

function progressOf(
  row: RunRow,
): Pick<RunView, "state" | "reuse" | "createdAt" | "endedAt" | "renderCounts" | "scoreCount" | "endedScores"> {
  return {
    state: row.state,
    reuse: row.reuse,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
    renderCounts: {
      total: row.render_total,
      queued: row.render_queued,
      running: row.render_running,
      succeeded: row.render_succeeded,
      failed: row.render_failed,
      cancelled: row.render_cancelled,
    },
    scoreCount: row.render_total * row.metrics.length,
    endedScores: row.ended_scores,
  };
}

function itemFromRow(row: ItemRow): RunItemView {
  const { failure_code: code, failure_message: message, failure_stage: stage } = row;
  return {
    position: row.render_position,
    row: suiteRowFromRow(row),
    seedIndex: row.seed_index,
    seed: BigInt(row.render_seed),
    state: row.state,
    failure: code === null ? undefined : { code, message: message ?? "", stage: stage ?? "" },
    videoSha256: row.video_sha256 ?? undefined,
    scores: row.scores.map(({ metric, ...score }) => ({ metric, outcome: scoreOutcome(score) })),
    stages: row.stages,
  };
}

function scoreOutcome({ state, failureCode, failureMessage, value }: Omit<ScoreRow, "metric">): ScoreTask["outcome"] {
  if (value !== null) return { kind: "value", value };
  if (state === "failed" || state === "cancelled") return { kind: "failed", code: failureCode ?? "", message: failureMessage ?? "" };
  return state === "succeeded" ? { kind: "failed", code: "INTERNAL", message: "the task told no value" } : { kind: "open" };
}
