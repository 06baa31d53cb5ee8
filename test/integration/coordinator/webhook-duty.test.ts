/**
 * The webhook duty over real HTTPS on loopback, with the store's rows in memory: what is due, and what was recorded.
 */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createWebhooks, type WebhookOptions, type WebhookOutcome } from "../../../services/coordinator/duties/webhooks.ts";
import type { DueWebhook, WebhookStore, WebhookTry } from "../../../services/coordinator/store/store-contract.ts";
import { allowedAddresses } from "../../../services/platform/fetch/address-list.ts";
import { createWebhookSender } from "../../../services/platform/fetch/webhook-sender.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { loopbackNetwork } from "../../support/tls-server.ts";
import { isSigned, type Received, type Receiver, startReceiver } from "../../support/webhook-receiver.ts";

const key = randomBytes(32);
const signal = new AbortController().signal;
const receivers: Receiver[] = [];

afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.stop();
});

async function receiverOf(answer: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
  const receiver = await startReceiver(answer);
  receivers.push(receiver);
  return receiver;
}

function due(url: string, jobId = "job-1", tries = 0): DueWebhook {
  return {
    jobId,
    eventNumber: 7,
    eventKind: "job.succeeded",
    at: new Date(0),
    tenant: "local",
    url,
    secret: key.toString("base64"),
    tries,
  };
}

/** Rows that stay due until a try is recorded under the epoch that holds. */
function rows(...initial: DueWebhook[]): WebhookStore & { readonly tries: readonly WebhookTry[]; due: DueWebhook[]; epoch: number } {
  const tries: WebhookTry[] = [];
  const store = {
    tries,
    due: [...initial],
    epoch: 1,
    dueWebhooks: (limit: number) => Promise.resolve(store.due.slice(0, limit)),
    recordWebhookTry(epoch: number, { jobId }: Pick<DueWebhook, "jobId">, outcome: WebhookTry) {
      if (epoch !== store.epoch) return Promise.resolve(false);
      tries.push(outcome);
      const again = outcome.kind === "failed" && outcome.nextInMs !== undefined;
      store.due = store.due.flatMap((row) => (row.jobId !== jobId ? [row] : again ? [{ ...row, tries: row.tries + 1 }] : []));
      return Promise.resolve(true);
    },
  };
  return store;
}

function dutyOf(store: WebhookStore, change: Partial<WebhookOptions> & { readonly isPublic?: boolean } = {}) {
  const outcomes: WebhookOutcome[] = [];
  const allowed = change.isPublic === true ? undefined : openTo(receivers);
  const duty = createWebhooks({
    store,
    sender: createWebhookSender({ allowed, network: loopbackNetwork(), timeoutMs: 10_000, now: () => new Date(1_700_000_000_500) }),
    bodyOf: ({ eventNumber }) => Promise.resolve(JSON.stringify({ eventNumber: String(eventNumber) })),
    intervalMs: 1,
    budgetMs: 10_000,
    clock: () => performance.now(),
    draw: () => 0.5,
    logger: createLogger({ name: "test", level: "silent" }),
    onTry: (outcome) => void outcomes.push(outcome),
    ...change,
  });
  return { duty, outcomes };
}

function openTo(opened: readonly Receiver[]) {
  const entries = opened.map(({ port }) => ({ prefix: `https://hooks.test:${port}/`, privateAddresses: true }));
  return allowedAddresses(["https:", "http:"]).parse(entries);
}

describe("the webhook duty", () => {
  it("signs each try, under one id, until the receiver takes it", async () => {
    let answered = 0;
    const receiver = await receiverOf((_message, response) => {
      answered += 1;
      response.writeHead(answered < 3 ? 503 : 204).end();
    });
    const store = rows(due(receiver.url));
    const { duty, outcomes } = dutyOf(store);
    for (const tried of [1, 2, 3]) {
      await duty.run(1, signal);
      await expect.poll(() => outcomes).toHaveLength(tried);
    }
    expect(outcomes).toEqual(["failed", "failed", "delivered"]);
    expect(store.tries).toMatchObject([{ nextInMs: 5_000 }, { nextInMs: 30_000 }, { kind: "delivered" }]);
    expect(store.due).toEqual([]);
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual(["job-1/7", "job-1/7", "job-1/7"]);
    for (const message of receiver.received) {
      expect(isSigned(message, key)).toBe(true);
      expect(isSigned(message, randomBytes(32))).toBe(false);
      expect(message).toMatchObject({ body: '{"eventNumber":"7"}', headers: { "webhook-timestamp": "1700000000" } });
    }
  });

  it("sends again under the same id when nothing was recorded after the POST", async () => {
    const receiver = await receiverOf((_message, response) => response.end());
    const store = rows(due(receiver.url));
    const died = Promise.withResolvers<undefined>();
    const crashed = dutyOf({
      dueWebhooks: (limit) => store.dueWebhooks(limit),
      recordWebhookTry() {
        died.resolve(undefined);
        return Promise.resolve(false);
      },
    });
    await crashed.duty.run(1, signal);
    await died.promise;
    store.epoch = 2;
    const { duty, outcomes } = dutyOf(store);
    await duty.run(2, signal);
    await expect.poll(() => outcomes).toEqual(["delivered"]);
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual(["job-1/7", "job-1/7"]);
    expect(crashed.outcomes).toEqual([]);
  });

  it("records nothing under an epoch that is over", async () => {
    const receiver = await receiverOf((_message, response) => response.end());
    const store = rows(due(receiver.url));
    store.epoch = 2;
    const asked = Promise.withResolvers<boolean>();
    const recordWebhookTry: WebhookStore["recordWebhookTry"] = async (...given) => {
      const written = await store.recordWebhookTry(...given);
      asked.resolve(written);
      return written;
    };
    const { duty, outcomes } = dutyOf({ dueWebhooks: (limit) => store.dueWebhooks(limit), recordWebhookTry });
    await duty.run(1, signal);
    expect(await asked.promise).toBe(false);
    expect(outcomes).toEqual([]);
    expect(store.due).toHaveLength(1);
  });

  it("sends nothing twice that ends while the next round reads what is due", async () => {
    const answered = Promise.withResolvers<undefined>();
    const receiver = await receiverOf((_message, response) => void answered.promise.then(() => response.end()));
    const store = rows(due(receiver.url));
    let begun = 0;
    const bodyOf = (): Promise<string> => {
      begun += 1;
      return Promise.resolve("{}");
    };
    const { duty, outcomes } = dutyOf(store, { bodyOf });
    await duty.run(1, signal);
    const stillDue = [...store.due];
    store.dueWebhooks = async () => {
      answered.resolve(undefined);
      await expect.poll(() => outcomes).toEqual(["delivered"]);
      return stillDue;
    };
    await duty.run(1, signal);
    expect(begun).toBe(1);
  });

  it("lets a slow receiver delay its own deliveries only", async () => {
    const slow = await receiverOf(() => undefined);
    const quick = await receiverOf((_message, response) => response.end());
    const waiting = Array.from({ length: 20 }, (_none, index) => due(slow.url, `slow-${index}`));
    const store = rows(...waiting, due(quick.url, "quick-1"), due(quick.url, "quick-2"), due(quick.url, "quick-3"));
    const { duty, outcomes } = dutyOf(store, { budgetMs: 1_000 });
    const round = duty.run(1, signal);
    await expect.poll(() => outcomes).toEqual(["delivered", "delivered", "delivered"]);
    await round;
    await duty.run(1, signal);
    expect(slow.received.length).toBeLessThanOrEqual(2);
  });

  it("gives up after the last wait, and says why", async () => {
    const receiver = await receiverOf((_message, response) => response.writeHead(410).end());
    const store = rows(due(receiver.url, "job-1", 9));
    const { duty, outcomes } = dutyOf(store);
    await duty.run(1, signal);
    await expect.poll(() => outcomes).toEqual(["given_up"]);
    expect(store.tries).toEqual([{ kind: "failed", error: "FETCH_FAILED: answered with status 410", nextInMs: undefined }]);
  });

  it.each([
    [
      "a redirect",
      (receiver: Received, response: Parameters<Parameters<typeof startReceiver>[0]>[1]) =>
        void response.writeHead(307, { location: receiver.path }).end(),
      /redirects are not followed/,
    ],
    [
      "a broken connection",
      (_message: Received, response: Parameters<Parameters<typeof startReceiver>[0]>[1]) => void response.destroy(),
      /FETCH_FAILED/,
    ],
  ])("takes %s for a failure", async (...[, answer, reason]) => {
    const receiver = await receiverOf(answer);
    const store = rows(due(receiver.url));
    await dutyOf(store).duty.run(1, signal);
    await expect.poll(() => store.tries).toMatchObject([{ kind: "failed", error: expect.stringMatching(reason) as string }]);
    expect(receiver.received).toHaveLength(1);
  });

  it("takes an endless answer with a good status for delivered", async () => {
    const receiver = await receiverOf((_message, response) => {
      const write = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        response.once("drain", write);
      };
      write();
    });
    const store = rows(due(receiver.url));
    await dutyOf(store).duty.run(1, signal);
    await expect.poll(() => store.tries).toEqual([{ kind: "delivered" }]);
  });

  it("gives a receiver that does not answer a bounded time", async () => {
    const receiver = await receiverOf(() => undefined);
    const sender = createWebhookSender({ allowed: openTo([receiver]), network: loopbackNetwork(), timeoutMs: 100, now: () => new Date() });
    const store = rows(due(receiver.url));
    await dutyOf(store, { sender }).duty.run(1, signal);
    await expect.poll(() => store.tries).toMatchObject([{ error: "FETCH_FAILED: did not answer within 100 ms", nextInMs: 5_000 }]);
  });

  it("does not connect to a private address that the operator has not allowed, whatever the name says", async () => {
    const receiver = await receiverOf((_message, response) => response.end());
    const store = rows(
      due(receiver.url),
      due(`https://127.0.0.1:${receiver.port}/`, "job-2"),
      due(receiver.url.replace("https", "http"), "job-3"),
    );
    await dutyOf(store, { isPublic: true }).duty.run(1, signal);
    await expect.poll(() => store.tries).toHaveLength(3);
    expect(store.tries.every((one) => one.kind === "failed" && one.error.startsWith("ADDRESS_REFUSED"))).toBe(true);
    expect(receiver.received).toEqual([]);
  });

  it("gives up when there is no such job any more", async () => {
    const store = rows(due("https://hooks.test/"));
    const { duty, outcomes } = dutyOf(store, { bodyOf: () => Promise.resolve(undefined) });
    await duty.run(1, signal);
    await expect.poll(() => outcomes).toEqual(["given_up"]);
  });
});
