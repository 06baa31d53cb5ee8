/**
 * How long a worker takes to serve, as the last ones did: pure.
 *
 * From the pod's creation until its container runs (a node that must come, an image, models), and from the agent's start until it could work, which
 * the worker tells. Three of four took no longer.
 */
type Started = { readonly createdAtMs: number; readonly startedAtMs: number | undefined };

const share = 0.75;
const latest = 20;

/** Undefined: nothing is known yet. */
export function loadTimeOf(pods: readonly Started[], startupsMs: readonly number[]): number | undefined {
  const placed = pods
    .toSorted((left, right) => right.createdAtMs - left.createdAtMs)
    .flatMap(({ createdAtMs, startedAtMs }) => (startedAtMs === undefined ? [] : [Math.max(0, startedAtMs - createdAtMs)]))
    .slice(0, latest);
  const startup = quantile(startupsMs.slice(0, latest));
  return startup === undefined ? undefined : startup + (quantile(placed) ?? 0);
}

function quantile(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
