/**
 * Lists that are longer than one answer, item by item; the next page is asked for when it is needed.
 */
import type {
  DeepPartial,
  Job,
  JobEvent,
  ListFailuresRequest,
  ListJobsRequest,
  ListRendersRequest,
  Render,
} from "../gen/proto/vapfarm/v1/farm.ts";
import type { ListRunItemsRequest, ListRunsRequest, Run, RunItem, Suite, SuiteRow } from "../gen/proto/vapfarm/v1/bench.ts";
import type { FailedTask } from "../gen/proto/vapfarm/v1/operator.ts";
import type { CallControl, FarmCalls } from "./calls.ts";

/** One list. */
export type ListControl = CallControl & {
  /** At most so many items; else all. */
  readonly limit?: number | undefined;
};

const largestPage = 1_000;

type Page<T> = { readonly items: readonly T[]; readonly next: string };

async function* throughPages<T>(
  fetch: (pageToken: string, pageSize: number) => Promise<Page<T>>,
  { limit, pageSize }: { readonly limit: number | undefined; readonly pageSize: number },
): AsyncGenerator<T> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for (let token = ""; left > 0;) {
    const page = await fetch(token, Math.min(left, pageSize, largestPage));
    for (const item of page.items.slice(0, left)) yield item;
    left -= page.items.length;
    token = page.next;
    if (token === "") return;
  }
}

/** Jobs by filter and order. */
export function listJobs(calls: FarmCalls, filter: DeepPartial<ListJobsRequest>, control: ListControl = {}): AsyncGenerator<Job> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { jobs, nextPageToken } = await calls.listJobs({ ...filter, pageToken, pageSize }, control);
      return { items: jobs, next: nextPageToken };
    },
    { limit: control.limit, pageSize: filter.pageSize ?? 200 },
  );
}

/** A job's renders by position. */
export function listRenders(calls: FarmCalls, filter: DeepPartial<ListRendersRequest>, control: ListControl = {}): AsyncGenerator<Render> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { renders, nextPageToken } = await calls.listRenders({ ...filter, pageToken, pageSize }, control);
      return { items: renders, next: nextPageToken };
    },
    { limit: control.limit, pageSize: filter.pageSize ?? 200 },
  );
}

/** Tasks that failed for good, newest first. */
export function listFailures(
  calls: FarmCalls,
  filter: DeepPartial<ListFailuresRequest>,
  control: ListControl = {},
): AsyncGenerator<FailedTask> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { failures, nextPageToken } = await calls.listFailures({ ...filter, pageToken, pageSize }, control);
      return { items: failures, next: nextPageToken };
    },
    { limit: control.limit, pageSize: filter.pageSize ?? 20 },
  );
}

/** A job's events after a number, up to those of now. */
export function listEvents(
  calls: FarmCalls,
  { jobId, afterEventNumber = 0n }: { readonly jobId: string; readonly afterEventNumber?: bigint | undefined },
  control: ListControl = {},
): AsyncGenerator<JobEvent> {
  return throughPages(
    async (token, pageSize) => {
      const after = token === "" ? afterEventNumber : BigInt(token);
      const { events, hasMore } = await calls.listEvents({ jobId, afterEventNumber: after, pageSize }, control);
      return { items: events, next: hasMore ? (events.at(-1)?.number.toString() ?? "") : "" };
    },
    { limit: control.limit, pageSize: 500 },
  );
}

/** The tenant's suites, newest first. */
export function listSuites(calls: FarmCalls, control: ListControl = {}): AsyncGenerator<Suite> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { suites, nextPageToken } = await calls.listSuites({ pageToken, pageSize }, control);
      return { items: suites, next: nextPageToken };
    },
    { limit: control.limit, pageSize: 200 },
  );
}

/** A suite's rows by position; those after the last answer's are asked for next, however many it had. */
export function listSuiteRows(calls: FarmCalls, suite: string, control: ListControl = {}): AsyncGenerator<SuiteRow> {
  return throughPages(
    async (token, rowLimit) => {
      const firstRow = token === "" ? 0 : Number(token);
      const { suite: found, rows } = await calls.getSuite({ suite, firstRow, rowLimit }, control);
      const next = firstRow + rows.length;
      return { items: rows, next: rows.length === 0 || next >= (found?.rowCount ?? 0) ? "" : String(next) };
    },
    { limit: control.limit, pageSize: largestPage },
  );
}

/** The tenant's benchmark runs, newest first. */
export function listRuns(calls: FarmCalls, filter: DeepPartial<ListRunsRequest>, control: ListControl = {}): AsyncGenerator<Run> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { runs, nextPageToken } = await calls.listRuns({ ...filter, pageToken, pageSize }, control);
      return { items: runs, next: nextPageToken };
    },
    { limit: control.limit, pageSize: filter.pageSize ?? 200 },
  );
}

/** A run's renders with their scores, by position. */
export function listRunItems(
  calls: FarmCalls,
  filter: DeepPartial<ListRunItemsRequest>,
  control: ListControl = {},
): AsyncGenerator<RunItem> {
  return throughPages(
    async (pageToken, pageSize) => {
      const { items, nextPageToken } = await calls.listRunItems({ ...filter, pageToken, pageSize }, control);
      return { items, next: nextPageToken };
    },
    { limit: control.limit, pageSize: filter.pageSize ?? 500 },
  );
}
