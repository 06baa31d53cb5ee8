import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, submitBatch, task } from "../../support/store-world.ts";

const world = useWorld();

test("a job's new priority is that of its tasks, those that are ready and those that become so", async () => {
  const { store, sql } = world();
  const late = await submit(store, diamond("late"));
  await submit(store, diamond("early"), { priority: 1 });
  const outcome = await store.updateJob("local", late, { priority: 2 });
  expect(outcome).toMatchObject({ kind: "updated", job: { priority: 2 }, aftermath: { touchedJobIds: [late] } });
  expect(await sql("select priority from ready order by priority")).toEqual([1, 1, 2, 2].map((priority) => ({ priority })));
  const worker = createWorker(store);
  for (let done = 0; done < 4; done += 1) {
    const claim = await worker.claim();
    expect(claim.jobIds).toEqual([late]);
    await worker.succeed(claim);
  }
  expect((await store.listEvents(late, 0, 9)).map(({ kind, message }) => [kind, message])[1]).toEqual(["job.updated", "priority 2, was 0"]);
});

test("a deadline is set, kept and taken away; what changes nothing tells of nothing", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, [[task("a")], [task("b")]]);
  const deadline = new Date("2030-01-02T03:04:05Z");
  expect(await store.updateJob("local", jobId, { deadline })).toMatchObject({ job: { deadline, priority: 0, lastEventNumber: 2 } });
  expect(await store.updateJob(undefined, jobId, { priority: 0, deadline })).toMatchObject({
    kind: "updated",
    job: { deadline, lastEventNumber: 2 },
    aftermath: { touchedJobIds: [] },
  });
  expect(await store.updateJob("local", jobId, { priority: 4 })).toMatchObject({ job: { deadline, priority: 4 } });
  expect(await store.updateJob("local", jobId, { deadline: null })).toMatchObject({ job: { deadline: undefined, priority: 4 } });
  expect((await store.listEvents(jobId, 1, 9)).map(({ kind, message }) => [kind, message])).toEqual([
    ["job.updated", "deadline at 2030-01-02T03:04:05Z"],
    ["job.updated", "priority 4, was 0"],
    ["job.updated", "deadline taken away"],
  ]);
});

test("a job that has ended is not changed, another tenant's is unknown", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("a")]);
  expect(await store.updateJob("other", jobId, { priority: 1 })).toBeUndefined();
  await store.cancelJob("local", jobId);
  expect(await store.updateJob("local", jobId, { priority: 1 })).toEqual({ kind: "ended" });
  expect(await store.getJob("local", jobId)).toMatchObject({ priority: 0 });
});

test("changing a job while its tasks are claimed and become ready ranks every task by what it is now", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  const jobId = await submitBatch(
    store,
    ["a", "b", "c", "d", "e"].map((name) => diamond(name)),
  );
  const work = async (index: number): Promise<void> => {
    const worker = createWorker(index === 0 ? store : another, { name: `w${index}` });
    for (let done = 0; done < 6;) {
      // Nothing is claimed of a job that is being changed at the moment.
      const { claim } = await worker.next();
      if (claim === undefined) continue;
      await worker.succeed(claim);
      done += 1;
    }
  };
  const steer = async (): Promise<void> => {
    for (let priority = 1; priority <= 12; priority += 1) await another.updateJob("local", jobId, { priority });
  };
  await Promise.all([work(0), work(1), steer()]);
  expect(await sql("select distinct priority from ready")).toEqual([{ priority: 12 }]);
  expect(await sql("select 1 from ready q join task t on t.id = q.task_id where t.state <> 'ready'")).toEqual([]);
});
