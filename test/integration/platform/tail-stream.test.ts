import { afterAll, beforeAll, expect, it } from "vitest";
import { createLogger } from "../../../services/platform/logging.ts";
import { type Broker, connectBroker } from "../../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { openTailStream } from "../../../services/platform/nats/tail-stream.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";
import { until } from "../../support/until.ts";

const subjects = subjectsOf("test");
let nats: TestNats;
let broker: Broker;

beforeAll(async () => {
  nats = await startTestNats();
  broker = await connectBroker({ url: nats.url, name: "test", logger: createLogger({ name: "test", level: "silent" }) });
});
afterAll(async () => {
  await broker.close();
  await nats.stop();
});

const say = (name: string, text: string): void => broker.publish(subjects.tail(name), Buffer.from(text));
const open = () => openTailStream(broker, { name: subjects.tailStream, subjectOf: subjects.tail });

it("keeps the newest of each name, and forgets one by one", async () => {
  const stream = await open();
  await stream.ensure();
  await stream.ensure();
  expect(await stream.names()).toEqual([]);
  say("a", "first");
  say("b", "other");
  say("a", "newest");
  await until("all are there", async () => Buffer.from((await stream.last("a")) ?? []).toString() === "newest");
  expect([...(await stream.names())].sort()).toEqual(["a", "b"]);
  await stream.forget("a");
  expect(await stream.last("a")).toBeUndefined();
  expect(await stream.names()).toEqual(["b"]);
  await stream.forget("nobody");
});

it("is BROKER_UNAVAILABLE where the stream is gone, and is made anew", async () => {
  const stream = await open();
  await broker.connection.close();
  await expect(stream.names()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
  broker = await connectBroker({ url: nats.url, name: "test", logger: createLogger({ name: "test", level: "silent" }) });
  const again = await open();
  await again.ensure();
  expect(await again.names()).toEqual(["b"]);
});
