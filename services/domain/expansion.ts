/**
 * Which of the renders that wait become tasks next (design §5): only a window of renders per pool is open, so that what they have in between
 * does not fill the store.
 *
 * Pure. Order: class, priority, then the tenant with the fewest open renders in the pool, then age, position. A class that waits has a part of
 * the window whatever the other brings, so that none starves; and a part is left to submits, which take it at once when they fit.
 */

type JobClass = "production" | "benchmark";

/** Renders of one job that wait for one pool. */
export type WaitingLine = {
  readonly jobId: string;
  readonly tenant: string;
  readonly jobClass: JobClass;
  readonly priority: number;
  /** When the job was submitted; ms. */
  readonly createdAt: number;
  /** How many wait. */
  readonly renders: number;
};

/** A pool's window as it is. */
export type ExpandingPool = {
  readonly pool: string;
  /** Renders that are expanded and have not ended. */
  readonly open: readonly { readonly tenant: string; readonly jobClass: JobClass; readonly renders: number }[];
  readonly lines: readonly WaitingLine[];
};

/** So many of the renders of a line, the first by position. */
export type ExpandLine = { readonly jobId: string; readonly pool: string; readonly renders: number };

/** Part of the window that the duty leaves to submits. */
const submitShare = 1 / 8;
/** Part of the window that is a class's own while it waits. */
const classShare = 1 / 8;

/** How many renders the duty keeps open in a window; at least one, so that a window of one is used. */
export function filledBy(window: number): number {
  return Math.max(1, window - Math.floor(window * submitShare));
}

/** What to expand of each pool, line by line; together no more than `most`. */
export function decideExpansion(pools: readonly ExpandingPool[], window: number, most: number): readonly ExpandLine[] {
  let left = most;
  return pools.flatMap((pool) => {
    const lines = fill(pool, window, left);
    left -= lines.reduce((sum, { renders }) => sum + renders, 0);
    return lines;
  });
}

/** Lines of one tenant, class and priority, the oldest first; `left`: renders of the first that still wait. */
type Queue = { readonly lines: WaitingLine[]; left: number };

function fill({ pool, open, lines }: ExpandingPool, window: number, most: number): readonly ExpandLine[] {
  const taken = new Map<string, number>();
  const ofTenant = sums(open, ({ tenant }) => tenant);
  const ofClass = sums(open, ({ jobClass }) => jobClass);
  const queues = queuesOf(lines);
  const isOpen = open.reduce((sum, { renders }) => sum + renders, 0);
  for (let room = Math.min(most, filledBy(window) - isOpen); room > 0; room -= 1) {
    const line = take(queues, { ofTenant, ofClass, floor: Math.floor(window * classShare) });
    if (line === undefined) break;
    add(taken, line.jobId, 1);
    add(ofTenant, line.tenant, 1);
    add(ofClass, line.jobClass, 1);
  }
  return [...taken].map(([jobId, renders]) => ({ jobId, pool, renders }));
}

function queuesOf(lines: readonly WaitingLine[]): readonly Queue[] {
  const queues = new Map<string, Queue>();
  for (const line of lines.toSorted(byAge)) {
    const key = JSON.stringify([line.jobClass, line.priority, line.tenant]);
    const queue = queues.get(key);
    if (queue === undefined) queues.set(key, { lines: [line], left: line.renders });
    else queue.lines.push(line);
  }
  return [...queues.values()];
}

type Counts = { readonly ofTenant: ReadonlyMap<string, number>; readonly ofClass: ReadonlyMap<string, number>; readonly floor: number };

/** Takes one render of the best queue; its line. */
function take(queues: readonly Queue[], { ofTenant, ofClass, floor }: Counts): WaitingLine | undefined {
  const rankOf = ({ jobClass, priority, tenant, createdAt }: WaitingLine): readonly number[] => {
    const isBelowFloor = (ofClass.get(jobClass) ?? 0) < floor;
    return [isBelowFloor ? 0 : 1, jobClass === "production" ? 0 : 1, -priority, ofTenant.get(tenant) ?? 0, createdAt];
  };
  let best: { readonly queue: Queue; readonly line: WaitingLine; readonly rank: readonly number[] } | undefined;
  for (const queue of queues) {
    const [line] = queue.lines;
    if (line === undefined) continue;
    const rank = rankOf(line);
    if (best === undefined || isBefore(rank, best.rank)) best = { queue, line, rank };
  }
  if (best === undefined) return undefined;
  best.queue.left -= 1;
  if (best.queue.left === 0) {
    best.queue.lines.shift();
    best.queue.left = best.queue.lines[0]?.renders ?? 0;
  }
  return best.line;
}

function isBefore(left: readonly number[], right: readonly number[]): boolean {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at >= 0 && (left[at] ?? 0) < (right[at] ?? 0);
}

function byAge(left: WaitingLine, right: WaitingLine): number {
  return left.createdAt - right.createdAt || (left.jobId < right.jobId ? -1 : 1);
}

function sums<T extends { readonly renders: number }>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const found = new Map<string, number>();
  for (const item of items) add(found, keyOf(item), item.renders);
  return found;
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
