/**
 * Metrics and states of scores as words, and in which unit people read a metric.
 */
import { type MetricName, metricNames } from "../../domain/vbench/metric.ts";
import { Metric, ScoreStatus } from "../../gen/proto/vapfarm/v1/bench.ts";
import { wordsOf } from "../../platform/words.ts";

const byNumber = new Map<number, MetricName>(metricNames.map((name) => [numberOf(name), name]));

function numberOf(name: MetricName): number {
  return (Metric as Readonly<Record<string, number>>)[`METRIC_${name.toUpperCase()}`] ?? Metric.UNRECOGNIZED;
}

/** The metric's name as VBench writes it; undefined for one that this release does not know. */
export function metricNameOf(metric: Metric): MetricName | undefined {
  return byNumber.get(metric);
}

/** Whether there is a value, in a word. */
export const scoreStatusWord = wordsOf(ScoreStatus, "SCORE_STATUS_");

const titles: Readonly<Partial<Record<MetricName, string>>> = { clip_score: "CLIP Score", i2v_subject: "I2V Subject" };

/** "Motion Smoothness". */
export function metricTitle(name: MetricName): string {
  return (
    titles[name] ?? name.replaceAll(/(^|_)([a-z])/g, (_all, before: string, letter: string) => `${before && " "}${letter.toUpperCase()}`)
  );
}

/** What a value of a clip is divided by to be on the scale of sets: VBench gives one metric per clip from 0 to 100. */
export function clipScale(name: MetricName): number {
  return name === "imaging_quality" ? 100 : 1;
}
