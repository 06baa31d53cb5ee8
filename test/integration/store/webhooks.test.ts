import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, noFilter, submit, submitBatch, task } from "../../support/store-world.ts";

const world = useWorld({ retention: { keepEventsMs: 60_000 } });
const webhook = { url: "https://example.test/hook", secret: "c2VjcmV0" };

const epochOf = async (name: string): Promise<number> => (await world().store.holdDuty(name, "test", 60_000))?.epoch ?? 0;

test("the end of a job that has a webhook is due at once, once, whichever way it ends", async () => {
  const { store } = world();
  const cancelled = await submitBatch(store, [[task("a")], [task("b")]], { webhook });
  await submit(store, [task("a")]);
  expect(await store.dueWebhooks(10)).toEqual([]);
  expect(await store.getJob("local", cancelled)).toMatchObject({ webhook: { url: webhook.url, delivery: undefined } });
  await store.cancelJob("local", cancelled, 0);
  expect(await store.dueWebhooks(10)).toEqual([]);
  await store.cancelJob("local", cancelled);
  const failed = await submit(store, [task("c")], { webhook, priority: 9 });
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await store.dueWebhooks(10)).toMatchObject([
    { jobId: cancelled, eventKind: "job.cancelled", tenant: "local", ...webhook, tries: 0 },
    { jobId: failed, eventKind: "job.failed", eventNumber: 4, tries: 0 },
  ]);
  expect(await store.dueWebhooks(1)).toHaveLength(1);
});

test("a delivery is tried again when its time has come, until it is taken or given up", async () => {
  const { store, sql } = world();
  const [taken, dropped] = [await submit(store, [task("a")], { webhook }), await submit(store, [task("b")], { webhook })];
  for (const jobId of [taken, dropped]) await store.cancelJob("local", jobId);
  const epoch = await epochOf("webhooks");
  const first = { jobId: taken, eventNumber: 2 };
  expect(await store.recordWebhookTry(epoch, first, { kind: "failed", error: "503", nextInMs: 60_000 })).toBe(true);
  expect(
    await store.recordWebhookTry(epoch, { jobId: dropped, eventNumber: 2 }, { kind: "failed", error: "no", nextInMs: undefined }),
  ).toBe(true);
  expect(await store.dueWebhooks(10)).toEqual([]);
  expect(await store.getJob("local", taken)).toMatchObject({
    webhook: { delivery: { eventNumber: 2, tries: 1, lastError: "503", deliveredAt: undefined, nextTryAt: expect.any(Date) as unknown } },
  });
  expect(await store.getJob("local", dropped)).toMatchObject({
    webhook: { delivery: { tries: 1, lastError: "no", nextTryAt: undefined } },
  });
  await sql("update webhook_delivery set next_try_at = now() where next_try_at is not null");
  expect(await store.dueWebhooks(10)).toMatchObject([{ jobId: taken, tries: 1 }]);
  expect(await store.recordWebhookTry(epoch, first, { kind: "delivered" })).toBe(true);
  expect(await store.dueWebhooks(10)).toEqual([]);
  const { jobs } = await store.listJobs({
    scope: "local",
    filter: noFilter,
    order: { by: "create_time", descending: false },
    after: undefined,
    limit: 1,
  });
  expect(jobs).toMatchObject([{ webhook: { delivery: { tries: 2, lastError: "", deliveredAt: expect.any(Date) as unknown } } }]);
});

test("who has lost the duty writes nothing", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, [task("a")], { webhook });
  await store.cancelJob("local", jobId);
  const epoch = await epochOf("webhooks");
  expect(await store.recordWebhookTry(epoch + 1, { jobId, eventNumber: 2 }, { kind: "delivered" })).toBe(false);
  await sql("update duty set until = now() - interval '1 s'");
  expect(await store.recordWebhookTry(epoch, { jobId, eventNumber: 2 }, { kind: "delivered" })).toBe(false);
  expect(await store.dueWebhooks(10)).toMatchObject([{ jobId, tries: 0 }]);
});

test("a job that is retried and ends again is told of again", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("a")], { webhook });
  await store.cancelJob("local", jobId);
  await store.recordWebhookTry(await epochOf("webhooks"), { jobId, eventNumber: 2 }, { kind: "delivered" });
  expect(await store.retryJob("local", jobId)).toMatchObject({ job: { webhook: { delivery: undefined } } });
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  expect(await store.dueWebhooks(10)).toMatchObject([{ jobId, eventKind: "job.succeeded", eventNumber: 6 }]);
  expect(await store.getJob("local", jobId)).toMatchObject({ webhook: { delivery: { eventNumber: 6, tries: 0 } } });
});

test("a receiver with many deliveries due leaves the first places to others, and fills no page", async () => {
  const { store, sql } = world();
  const jobs = await Promise.all(Array.from({ length: 3 }, (_, index) => submit(store, [task(`dead ${index}`)], { webhook })));
  for (const jobId of jobs) await store.cancelJob("local", jobId);
  await sql("update webhook_delivery set next_try_at = now() - interval '1 hour'");
  const other = await submit(store, [task("live")], { webhook: { ...webhook, url: "https://User@LIVE.test:8443/hook?x=/" } });
  await store.cancelJob("local", other);
  expect((await store.dueWebhooks(2)).map(({ url }) => new URL(url).host)).toEqual(["example.test", "live.test:8443"]);
  expect(await sql("select distinct receiver from webhook_delivery order by 1")).toEqual([
    { receiver: "example.test" },
    { receiver: "live.test:8443" },
  ]);
  await sql("insert into event (job_id, number, at, kind) select $1, n, now(), 'x' from generate_series(100, 499) n", [jobs[0]]);
  await sql(
    "insert into webhook_delivery (job_id, event_number, receiver, next_try_at) select $1, n, 'example.test', now() from generate_series(100, 499) n",
    [jobs[0]],
  );
  expect(await store.dueWebhooks(1_000)).toHaveLength(251);
});

test("deliveries go with the events that they tell of, and a job is looked at until it has none", async () => {
  const { store, sql } = world();
  const [old, unsent] = [await submit(store, [task("a")], { webhook }), await submit(store, [task("b")], { webhook })];
  for (const jobId of [old, unsent]) await store.cancelJob("local", jobId);
  await store.markEventsSent(old, 2);
  await sql("update job set ended_at = now() - interval '1 hour'");
  const epoch = await epochOf("prune");
  while ((await store.prune(epoch)) > 0);
  expect(await sql("select id, is_pruned from job order by is_pruned")).toEqual([
    { id: unsent, is_pruned: false },
    { id: old, is_pruned: true },
  ]);
  expect(await sql("select job_id from webhook_delivery")).toEqual([{ job_id: unsent }]);
  await store.retryJob("local", old);
  expect(await sql("select 1 from job where is_pruned")).toEqual([]);
});
