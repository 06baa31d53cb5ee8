/**
 * What waits and what runs: tasks, renders, jobs, events on their way.
 */
import { type Metrics, seriesOf } from "../../platform/metrics.ts";
import type { Sample, Sampler } from "../../platform/sample.ts";
import type { ExpansionStore, MeasureStore, OverviewStore } from "../store/store-contract.ts";
import { classes } from "./labels.ts";
import { createStoreGauge, hideAll } from "./store-gauges.ts";

export type QueueStore = Pick<OverviewStore, "queueCounts"> &
  Pick<MeasureStore, "readyMeasures" | "jobMeasures" | "unsentCount"> &
  Pick<ExpansionStore, "windowCounts">;

export type StoreMetricsOptions<S> = {
  readonly store: S;
  readonly sampler: Sampler;
  /** Those that the coordinator answers for: shown also where nothing waits. */
  readonly pools: readonly string[];
};

/** Registers them. */
export function registerQueue(metrics: Metrics, options: StoreMetricsOptions<QueueStore>): void {
  registerTasks(metrics, options);
  registerReady(metrics, options);
  registerWindows(metrics, options);
  registerJobs(metrics, options);
  registerEvents(metrics, options);
}

function registerTasks(metrics: Metrics, { store, sampler }: StoreMetricsOptions<QueueStore>): void {
  const sample = (): Sample => queue;
  const tasks = createStoreGauge(metrics, {
    name: "vapfarm_queue_tasks",
    help: "Live tasks by pool, stage and state",
    labels: ["pool", "stage", "state"],
    sample,
  });
  const running = createStoreGauge(metrics, {
    name: "vapfarm_running_tasks",
    help: "Tasks that are running, by pool and stage",
    labels: ["pool", "stage"],
    sample,
  });
  const queue = sampler.add({
    name: "queue",
    read: () => store.queueCounts(),
    show(counts) {
      tasks.show(counts.map(({ pool, stage, state, count }) => [{ pool, stage, state }, count]));
      running.show(counts.flatMap(({ pool, stage, state, count }) => (state === "running" ? [[{ pool, stage }, count]] : [])));
    },
    hide: hideAll(tasks, running),
  });
}

function registerReady(metrics: Metrics, { store, sampler, pools }: StoreMetricsOptions<QueueStore>): void {
  const sample = (): Sample => ready;
  const gaugeOf = (name: string, help: string) =>
    createStoreGauge(metrics, {
      name,
      help,
      labels: ["pool", "class"],
      sample,
      always: seriesOf("pool", pools, seriesOf("class", classes)),
    });
  const tasks = gaugeOf("vapfarm_ready_tasks", "Tasks that wait for a worker, by pool and class");
  const seconds = gaugeOf("vapfarm_ready_device_seconds", "What the ready tasks are expected to take on a device");
  const oldest = gaugeOf("vapfarm_oldest_ready_seconds", "For how long the oldest ready task has waited");
  const ready = sampler.add({
    name: "ready",
    read: () => store.readyMeasures(),
    show(measures) {
      const labelled = measures.map(({ pool, jobClass, ...measure }) => ({ labels: { pool, class: jobClass }, ...measure }));
      tasks.show(labelled.map(({ labels, count }) => [labels, count]));
      seconds.show(labelled.map(({ labels, deviceMs }) => [labels, deviceMs / 1_000]));
      oldest.show(labelled.map(({ labels, oldestMs }) => [labels, oldestMs / 1_000]));
    },
    hide: hideAll(tasks, seconds, oldest),
  });
}

function registerWindows(metrics: Metrics, { store, sampler, pools }: StoreMetricsOptions<QueueStore>): void {
  const sample = (): Sample => windows;
  const gaugeOf = (name: string, help: string) =>
    createStoreGauge(metrics, { name, help, labels: ["pool"], sample, always: seriesOf("pool", pools) });
  const waiting = gaugeOf("vapfarm_waiting_renders", "Renders that wait for the window of their pool");
  const open = gaugeOf("vapfarm_open_renders", "Renders that are expanded and have not ended, by pool");
  const windows = sampler.add({
    name: "windows",
    read: () => store.windowCounts(),
    show(counts) {
      waiting.show(counts.map(({ pool, waiting: renders }) => [{ pool }, renders]));
      open.show(counts.map(({ pool, open: renders }) => [{ pool }, renders]));
    },
    hide: hideAll(waiting, open),
  });
}

function registerJobs(metrics: Metrics, { store, sampler }: StoreMetricsOptions<QueueStore>): void {
  const open = createStoreGauge(metrics, {
    name: "vapfarm_open_jobs",
    help: "Jobs that have not ended, by class and state",
    labels: ["class", "state"],
    sample: () => jobs,
    always: seriesOf("class", classes, seriesOf("state", ["queued", "running"])),
  });
  const jobs = sampler.add({
    name: "jobs",
    read: () => store.jobMeasures(),
    show: (measures) => open.show(measures.map(({ jobClass, state, count }) => [{ class: jobClass, state }, count])),
    hide: hideAll(open),
  });
}

function registerEvents(metrics: Metrics, { store, sampler }: StoreMetricsOptions<QueueStore>): void {
  const unsent = createStoreGauge(metrics, {
    name: "vapfarm_events_unsent",
    help: "Event rows not yet copied to JetStream, of at most 10,000 jobs",
    labels: [],
    sample: () => events,
  });
  const events: Sample = sampler.add({
    name: "events",
    read: () => store.unsentCount(),
    show: (rows) => unsent.show([[{}, rows]]),
    hide: hideAll(unsent),
  });
}
