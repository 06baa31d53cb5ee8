/**
 * Builds what happens by itself: each duty with its interval, its part of the store and whom it tells.
 */
import { FarmError } from "../domain/errors.ts";
import type { Component } from "../platform/lifecycle.ts";
import { type EventStream, openEventStream } from "../platform/nats/event-stream.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import { createWebhookDuty, type MediaParts } from "./app-media.ts";
import { descriptors, type Parts } from "./app-parts.ts";
import { createScalingParts } from "./app-scaling.ts";
import { createTails } from "./app-tracing.ts";
import { createBooksCheck } from "./duties/books.ts";
import { createBudgets } from "./duties/budgets.ts";
import { createCanary } from "./duties/canary.ts";
import { createCollection } from "./duties/collection.ts";
import { createDeadlines } from "./duties/deadlines.ts";
import { createDuty, type Duty, type DutySpec } from "./duties/duty.ts";
import { createOrder } from "./duties/order.ts";
import { createHealthDuty } from "./duties/health.ts";
import { createPreemptionDuty } from "./duties/preemption.ts";
import { createExpand, type Expand } from "./duties/expand.ts";
import { createPromotion } from "./duties/promotion.ts";
import { createPrune } from "./duties/prune.ts";
import { createReaper } from "./duties/reaper.ts";
import { createRelay } from "./duties/relay.ts";
import { createSetScores } from "./duties/set-scores.ts";
import { createSweep } from "./duties/sweep.ts";
import type { Aftermath } from "./store/store-contract.ts";

const dayMs = 24 * 3600 * 1000;

/** A duty that is run where its row is held. */
export function dutyOf(spec: DutySpec, { resources, logger, metrics, timings, holder }: Parts): Duty {
  return createDuty(spec, { store: resources.store, holder, holdMs: timings.dutyHoldMs, logger, onRound: metrics.onRound });
}

/** All that happens by itself, but for what is nudged by name. */
export function createDuties(parts: Parts, sender: MediaParts["sender"]): readonly Component[] {
  const { config, resources, logger, metrics, timings, announcer, holder, tracing } = parts;
  const { store, artifacts, broker } = resources;
  const [pool] = config.VAPFARM_POOLS;
  if (pool === undefined) throw new FarmError("CONFIG_INVALID", { message: "a coordinator needs a pool" });
  const subject = subjectsOf(config.VAPFARM_FARM).beat(pool.name);
  const onCommitted = (aftermath: Aftermath): void => announcer.announce([aftermath]);
  const clock = (): number => performance.now();
  const sessionId = `canary-${holder}`;
  const specs: readonly DutySpec[] = [
    createCanary({ broker, subject, pool: pool.name, sessionId, intervalMs: timings.canaryMs, clock }),
    createReaper({ store, intervalMs: timings.reapMs, logger, onCommitted, onReap: metrics.onReap }),
    createPromotion({ store, intervalMs: timings.promotionMs, onCommitted }),
    createPreemptionDuty({
      store,
      policy: config.VAPFARM_PREEMPTION,
      intervalMs: timings.preemptionMs,
      logger,
      onCommitted,
      onPreempted: metrics.onPreempted,
    }),
    createDeadlines({ store, intervalMs: timings.deadlinesMs, onCommitted, onTold: metrics.onDeadlines }),
    createSweep({ store, intervalMs: timings.sweepMs, logger, onCommitted, onRepaired: metrics.onRepaired }),
    createOrder({ store, intervalMs: timings.orderMs, logger, onRepaired: metrics.onRepaired }),
    createHealthDuty({ store, intervalMs: timings.healthMs, logger, onCommitted, onJudged: metrics.onJudged }),
    createCollection({ store, artifacts, intervalMs: Math.min(timings.collectionMs, config.VAPFARM_KEEP_INTERMEDIATES_MS), logger }),
    createPrune({ store, intervalMs: timings.pruneMs, budgetMs: timings.dutyHoldMs / 2, clock, logger }),
    createBudgets({ store, intervalMs: timings.budgetMs, budgetMs: timings.dutyHoldMs / 5, clock, logger, onCommitted }),
    createBooksCheck({ store, intervalMs: timings.booksMs, now: () => new Date(), logger, onUnbalanced: metrics.onUnbalanced }),
    createSetScores({ store, intervalMs: timings.setScoresMs }),
    createTails(parts, tracing.tracer, timings.tailsMs),
    createWebhookDuty({
      store,
      descriptors,
      sender,
      intervalMs: timings.webhookMs,
      budgetMs: timings.dutyHoldMs / 5,
      logger,
      onTry: metrics.onWebhookTry,
    }),
  ];
  const scaling = createScalingParts({ ...parts, dutyOf: (spec) => dutyOf(spec, parts) });
  return [...specs.map((spec) => dutyOf(spec, parts)), ...scaling];
}

/** The duty that makes tasks of renders that wait. */
export function expandSpecOf({ config, resources, metrics, timings, announcer }: Parts): Expand {
  const { store, models } = resources;
  return createExpand({
    store,
    models,
    window: config.VAPFARM_OPEN_RENDERS,
    intervalMs: timings.expandMs,
    budgetMs: timings.dutyHoldMs / 5,
    clock: () => performance.now(),
    onCommitted: (aftermath) => announcer.announce([aftermath]),
    onExpanded: metrics.onExpanded,
  });
}

/** The duty that copies the event log. */
export function relaySpecOf({ config, resources, metrics, timings, tracing }: Parts) {
  const subjects = subjectsOf(config.VAPFARM_FARM);
  const openStream = (): Promise<EventStream> =>
    openEventStream(resources.broker, { name: subjects.eventStream, subjects: subjects.allEvents });
  return createRelay({
    store: resources.store,
    openStream,
    subjectOf: (jobId) => subjects.events(jobId),
    intervalMs: timings.relayMs,
    maxAgeMs: config.VAPFARM_EVENT_STREAM_DAYS * dayMs,
    onCopied: (events) => {
      for (const event of events) metrics.onCopied(event);
      tracing.traces.onEvents(events);
    },
  });
}
