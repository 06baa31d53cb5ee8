/**
 * Which scores of a run have no value, and why, in lines for people. Pure.
 */
import type { RunItem } from "../../gen/proto/vapfarm/v1/bench.ts";
import { metricNameOf, scoreStatusWord } from "./metric-words.ts";

const mostReasons = 5;
const noClip = "no clip: the render failed or was cancelled";

/** One line of how many, then one for each of the commonest reasons; none where all of the `scoreCount` scores have a value. */
export function missingScoreLines(items: readonly Pick<RunItem, "scores">[], scoreCount: number): readonly string[] {
  const reasons = new Map<string, { count: number; readonly metrics: Set<string> }>();
  const scores = items.flatMap((item) => item.scores);
  const valued = scores.filter(({ value }) => value !== undefined);
  for (const { metric, value, status, reason } of scores) {
    if (value !== undefined) continue;
    const text = `${scoreStatusWord(status)}: ${reason === "" ? "no reason was told" : reason}`;
    const found = reasons.get(text) ?? { count: 0, metrics: new Set() };
    found.metrics.add(metricNameOf(metric) ?? `metric ${metric}`);
    reasons.set(text, { ...found, count: found.count + 1 });
  }
  if (scoreCount > scores.length) reasons.set(noClip, { count: scoreCount - scores.length, metrics: new Set() });
  const missing = scoreCount - valued.length;
  if (missing <= 0) return [];
  const sorted = [...reasons].sort(([, left], [, right]) => right.count - left.count);
  const more = sorted.length - mostReasons;
  return [
    `${missing} of ${scoreCount} scores have no value:`,
    ...sorted
      .slice(0, mostReasons)
      .map(([text, { count, metrics }]) => `  ${count} ${text}${metrics.size === 0 ? "" : ` (${[...metrics].join(", ")})`}`),
    ...(more > 0 ? [`  and ${more} more reasons`] : []),
  ];
}
