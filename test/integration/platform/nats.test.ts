import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLogger } from "../../../services/platform/logging.ts";
import { type Broker, connectBroker } from "../../../services/platform/nats/broker.ts";
import { openEventStream } from "../../../services/platform/nats/event-stream.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";

const logger = createLogger({ name: "test", level: "silent" });
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startTestNats();
  broker = await connectBroker({ url: nats.url, name: "test", logger });
});
afterAll(async () => {
  await broker.close();
  await nats.stop();
});

/** Resolves at the next change of the connection. */
function change(wanted: boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = broker.onConnectionChange((connected) => {
      if (connected !== wanted) return;
      end();
      resolve();
    });
  });
}

describe("the broker", () => {
  it("says that nobody answers, and that an answer took too long", async () => {
    await expect(broker.request("nobody", Buffer.from(""), 1_000)).rejects.toMatchObject({ code: "COORDINATOR_UNAVAILABLE" });
    const end = broker.subscribe("silent", () => undefined);
    await broker.flush(1_000);
    await expect(broker.request("silent", Buffer.from(""), 100)).rejects.toMatchObject({ code: "DEADLINE_PASSED" });
    end();
  });

  it("gives each request to one member of a service group, and a failed handler answers nothing", async () => {
    const taken: string[] = [];
    const service = { name: "group", version: "0.0.1", group: "group" };
    const member = (name: string) =>
      broker.serve(service, [
        {
          name: "ask",
          subject: "group.ask",
          handler: (payload) => {
            if (text(payload) === "fail") return Promise.reject(new TypeError("played"));
            taken.push(name);
            return Promise.resolve(Buffer.from(`answer to ${text(payload)}`));
          },
        },
      ]);
    const ends = await Promise.all([member("one"), member("two")]);
    await broker.flush(1_000);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_one, index) => broker.request("group.ask", Buffer.from(`${index}`), 5_000)),
    );
    expect(answers.map(text)).toEqual(answers.map((_answer, index) => `answer to ${index}`));
    expect([taken.length, new Set(taken).size]).toEqual([40, 2]);
    await expect(broker.request("group.ask", Buffer.from("fail"), 200)).rejects.toMatchObject({ code: "DEADLINE_PASSED" });
    for (const end of ends) await end();
    await expect(broker.request("group.ask", Buffer.from("late"), 1_000)).rejects.toMatchObject({ code: "COORDINATOR_UNAVAILABLE" });
  });

  it("keeps its subscriptions over an outage, and drops what is published meanwhile", async () => {
    const heard: string[] = [];
    const next = Promise.withResolvers<undefined>();
    const end = broker.subscribe("news", (payload) => {
      heard.push(text(payload));
      next.resolve(undefined);
    });
    const lost = change(false);
    await nats.halt();
    await lost;
    expect(broker.isConnected()).toBe(false);
    broker.publish("news", Buffer.from("unheard"));
    const back = change(true);
    await nats.resume();
    await back;
    await broker.flush(5_000);
    broker.publish("news", Buffer.from("heard"));
    await next.promise;
    expect(heard).toEqual(["heard"]);
    end();
  });
});

describe("the event stream", () => {
  it("appends only on the expected sequence of a subject", async () => {
    const stream = await openEventStream(broker, { name: "TEST_EVENTS", subjects: "test.events.*" });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 1 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 1 });
    const subject = "test.events.a";
    expect(await stream.last(subject)).toBeUndefined();
    const append = (payload: string, expectedSequence: number) =>
      stream.append({ subject, payload: Buffer.from(payload), expectedSequence });
    expect(await append("one", 0)).toEqual({ kind: "appended", sequence: 1 });
    expect(await append("again", 0)).toEqual({ kind: "other_sequence" });
    expect(await append("two", 1)).toEqual({ kind: "appended", sequence: 2 });
    const last = await stream.last(subject);
    expect([last?.sequence, text(last?.payload ?? Buffer.alloc(0))]).toEqual([2, "two"]);
  });

  it("is emptied when the farm has another epoch, and only then", async () => {
    const stream = await openEventStream(broker, { name: "EPOCH_EVENTS", subjects: "epoch.events.*" });
    const subject = "epoch.events.a";
    const append = () => stream.append({ subject, payload: Buffer.from("one"), expectedSequence: 0 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 1 });
    await append();
    await stream.ensure({ maxAgeMs: 60_000, epoch: 1 });
    expect(await stream.last(subject)).toMatchObject({ sequence: 1 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 5 });
    expect(await stream.last(subject)).toBeUndefined();
    expect(await append()).toEqual({ kind: "appended", sequence: 2 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 5 });
    expect(await stream.last(subject)).toMatchObject({ sequence: 2 });
  });

  it("that does not say an epoch copied the first", async () => {
    const manager = await jetstreamManager(broker.connection);
    await manager.streams.add({ name: "OLD_EVENTS", subjects: ["old.events.*"] });
    const stream = await openEventStream(broker, { name: "OLD_EVENTS", subjects: "old.events.*" });
    await stream.append({ subject: "old.events.a", payload: Buffer.from("one"), expectedSequence: 0 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 1 });
    expect(await stream.last("old.events.a")).toMatchObject({ sequence: 1 });
    await stream.ensure({ maxAgeMs: 60_000, epoch: 2 });
    expect(await stream.last("old.events.a")).toBeUndefined();
  });

  it("says when it is gone", async () => {
    const stream = await openEventStream(broker, { name: "NONE_EVENTS", subjects: "none.events.*" });
    await expect(stream.append({ subject: "none.events.a", payload: Buffer.from(""), expectedSequence: 0 })).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
    });
    await expect(stream.last("none.events.a")).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
  });
});
