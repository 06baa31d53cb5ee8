/**
 * Webhooks: tells receivers that jobs have ended (proto: WebhookEvent), at least once, until they take it or the schedule ends.
 *
 * Invariants: what is due comes from rows that the ending commit made, and only a recorded try moves a row on, so a coordinator that dies
 * between POST and record sends again under the same `webhook-id`. A round starts deliveries and does not wait for the slow ones: they go on
 * between rounds, at most so many at a time and fewer for each receiver, so that a slow receiver delays nobody but itself. Records carry
 * the epoch of the newest round; under one that is over nothing is written, and the next holder sends again.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { webhookWaitMs } from "../../domain/webhook-schedule.ts";
import { pause } from "../../platform/deadline.ts";
import type { WebhookSender } from "../../platform/fetch/webhook-sender.ts";
import type { Logger } from "../../platform/logging.ts";
import type { DueWebhook, WebhookStore, WebhookTry } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type WebhookOutcome = "delivered" | "failed" | "given_up";

export type WebhookOptions = {
  readonly store: WebhookStore;
  readonly sender: Pick<WebhookSender, "send">;
  /** The WebhookEvent as JSON; undefined when there is no such job any more. */
  readonly bodyOf: (due: DueWebhook) => Promise<string | undefined>;
  readonly intervalMs: number;
  /** How long a round goes on starting deliveries; well under the duty's hold. */
  readonly budgetMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
  /** A draw from [0, 1). */
  readonly draw: () => number;
  readonly logger: Logger;
  /** Told of each try that was recorded. */
  readonly onTry: (outcome: WebhookOutcome) => void;
};

const pageSize = 1_000;
const mostInFlight = 8;
const mostInFlightOfOneReceiver = 2;

type Flight = { readonly receiver: string; readonly done: Promise<void> };

/** The rounds of deliveries. */
export function createWebhooks(options: WebhookOptions): DutySpec {
  const flights = new Map<string, Flight>();
  let epoch = 0;
  const start = (due: DueWebhook, signal: AbortSignal): void => {
    const id = idOf(due);
    const done = deliver(options, { due, epoch: () => epoch, signal }).finally(() => flights.delete(id));
    flights.set(id, { receiver: receiverOf(due), done });
  };
  return {
    name: "webhooks",
    intervalMs: options.intervalMs,
    async run(current, signal) {
      epoch = current;
      const untilMs = options.clock() + options.budgetMs;
      // Those that end while the rows are read may be due in what is read.
      const flying = new Set(flights.keys());
      let waiting = (await options.store.dueWebhooks(pageSize)).filter((due) => !flying.has(idOf(due)));
      while (!signal.aborted) {
        const next = waiting.find((due) => hasRoom(flights, receiverOf(due)));
        if (next !== undefined) {
          waiting = waiting.filter((due) => due !== next);
          start(next, signal);
          continue;
        }
        const leftMs = untilMs - options.clock();
        if (waiting.length === 0 || leftMs <= 0) return;
        await firstOf(
          [...flights.values()].map(({ done }) => done),
          leftMs,
          signal,
        );
      }
    },
  };
}

function idOf({ jobId, eventNumber }: Pick<DueWebhook, "jobId" | "eventNumber">): string {
  return `${jobId}/${eventNumber}`;
}

function receiverOf({ url }: DueWebhook): string {
  return URL.parse(url)?.host ?? url;
}

function hasRoom(flights: ReadonlyMap<string, Flight>, receiver: string): boolean {
  if (flights.size >= mostInFlight) return false;
  return [...flights.values()].filter((flight) => flight.receiver === receiver).length < mostInFlightOfOneReceiver;
}

/** Waits for any of the promises, the time or the signal, and leaves no timer behind. */
async function firstOf(promises: readonly Promise<void>[], ms: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([...promises, pause(ms, AbortSignal.any([signal, over.signal]))]);
  } finally {
    over.abort();
  }
}

type Delivery = { readonly due: DueWebhook; readonly epoch: () => number; readonly signal: AbortSignal };

/** One try and its record; never rejects. */
async function deliver(options: WebhookOptions, { due, epoch, signal }: Delivery): Promise<void> {
  try {
    const outcome = await tryOnce(options, due, signal);
    if (outcome === undefined) return;
    if (!(await options.store.recordWebhookTry(epoch(), due, outcome))) return;
    options.onTry(nameOf(outcome));
    if (outcome.kind === "failed") logFailure(options.logger, due, outcome);
  } catch (thrown) {
    options.logger.warn({ err: thrown, jobId: due.jobId }, "a webhook's try could not be recorded; it will be sent again");
  }
}

/** What became of it; undefined when the duty stopped first, so that nothing is known. */
async function tryOnce({ sender, bodyOf, draw }: WebhookOptions, due: DueWebhook, signal: AbortSignal): Promise<WebhookTry | undefined> {
  const body = await bodyOf(due);
  if (body === undefined) return { kind: "failed", error: "the job is not there any more", nextInMs: undefined };
  try {
    await sender.send({ address: due.url, id: idOf(due), body, secret: due.secret }, signal);
    return { kind: "delivered" };
  } catch (thrown) {
    if (signal.aborted) return undefined;
    return { kind: "failed", error: textOf(toFarmError(thrown)), nextInMs: webhookWaitMs(due.tries + 1, draw()) };
  }
}

const maxErrorCharacters = 500;

function textOf({ code, message }: FarmError): string {
  return `${code}: ${message}`.slice(0, maxErrorCharacters).toWellFormed();
}

function nameOf(outcome: WebhookTry): WebhookOutcome {
  if (outcome.kind === "delivered") return "delivered";
  return outcome.nextInMs === undefined ? "given_up" : "failed";
}

function logFailure(logger: Logger, { jobId, tries }: DueWebhook, { error, nextInMs }: Extract<WebhookTry, { kind: "failed" }>): void {
  const facts = { jobId, tries: tries + 1, reason: error, nextInMs };
  if (nextInMs === undefined) logger.warn(facts, "a webhook was given up");
  else logger.debug(facts, "a webhook was not taken");
}
