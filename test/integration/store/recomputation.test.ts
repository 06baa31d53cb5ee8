import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { epochOf } from "../../support/store-duties.ts";
import { checkInvariants } from "../../support/store-invariants.ts";
import { createWorker, diamond, outputHash, sha256, submit, submitBatch, task, type Worker } from "../../support/store-world.ts";

const world = useWorld({ retention: { keepIntermediatesMs: 0, keepDeadLettersMs: 0, longestUploadMs: 0 }, leaseMs: 0 });

const [left, right, middle, last] = diamond() as [ReturnType<typeof task>, ...ReturnType<typeof diamond>[number][]];
/** The diamond with another last stage. */
const other = [...diamond().slice(0, 3), task("other last", { after: ["middle"], artifacts: ["mp4"] })];

/** Runs what there is; a last stage gives its result and nothing else. */
async function work(worker: Worker): Promise<readonly string[]> {
  const ran: string[] = [];
  for (let { claim } = await worker.next(); claim !== undefined; { claim } = await worker.next()) {
    const { prompt } = (claim.parameters as { textEncode: { prompt: string } }).textEncode;
    ran.push(prompt);
    await worker.succeed(claim, prompt.includes("last") ? ["mp4"] : ["out"]);
  }
  return ran.toSorted();
}

/** Collects everything that nothing needs. */
async function collect(): Promise<void> {
  const { store } = world();
  const epoch = await epochOf(world(), "collection");
  await store.condemnArtifacts(epoch);
  for (const hash of await store.condemnArtifacts(epoch)) await store.collectArtifact(hash, () => Promise.resolve());
}

/** A diamond whose result is kept, and nothing that it was made from. */
async function collected(): Promise<Worker> {
  const worker = createWorker(world().store);
  await submit(world().store, diamond());
  expect(await work(worker)).toEqual(["last", "left", "middle", "right"]);
  await collect();
  expect(await world().sql("select 1 from task_output")).toHaveLength(1);
  return worker;
}

const generations = async (): Promise<Readonly<Record<string, number>>> => {
  const rows = await world().sql<{ label: string; newest: number }>(
    "select u.label, max(t.generation) as newest from task t join task_user u on u.task_id = t.id where u.label <> 'again' group by u.label",
  );
  return Object.fromEntries(rows.map(({ label, newest }) => [label, newest]));
};

test("a render whose result is kept is done at once, though what it was made from was collected", async () => {
  const { store, sql } = world();
  const worker = await collected();
  const jobId = await submit(store, diamond());
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded", only: { artifacts: [{ name: "mp4" }] } });
  expect(await work(worker)).toEqual([]);
  expect(await sql("select 1 from task")).toHaveLength(4);
  const uses = await sql("select u.is_reused from task_user u join render r on r.id = u.render_id where r.job_id = $1", [jobId]);
  expect(uses).toEqual(diamond().map(() => ({ is_reused: true })));
  await checkInvariants(world());
});

test("what has to run gets what it takes made again, once, in a new generation; what is kept beside it is left alone", async () => {
  const { store } = world();
  const worker = await collected();
  const jobs = [await submitBatch(store, [diamond(), other]), await submit(store, other)];
  expect(await work(worker)).toEqual(["left", "middle", "other last", "right"]);
  for (const jobId of jobs) expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await generations()).toEqual({ left: 2, right: 2, middle: 2, last: 1, "other last": 1 });
  await checkInvariants(world());
});

test("an intermediate that a render hands out is needed, whatever was made from it", async () => {
  const { store } = world();
  const worker = await collected();
  const asked = [left, right, { ...middle, artifacts: ["out"] }, last] as ReturnType<typeof diamond>;
  const jobId = await submitBatch(store, [diamond(), asked]);
  expect(await work(worker)).toEqual(["left", "middle", "right"]);
  expect(await store.artifactOfRender("local", { jobId, position: 1, name: "out" })).toBeDefined();
});

test("only what is gone is made again: a kept intermediate is taken as it is", async () => {
  const { store } = world();
  const worker = createWorker(store);
  await submit(store, diamond());
  await work(worker);
  const epoch = await epochOf(world(), "collection");
  await store.condemnArtifacts(epoch);
  const condemned = await store.condemnArtifacts(epoch);
  const [{ id } = { id: 0 }] = await world().sql<{ id: number }>("select id::integer from task where content_key = $1", [sha256("middle")]);
  for (const hash of condemned) if (hash !== outputHash(id, "out")) await store.collectArtifact(hash, () => Promise.resolve());
  await submit(store, other);
  expect(await work(worker)).toEqual(["other last"]);
});

test("a render whose result is kept does not wait for what others have made again", async () => {
  const { store } = world();
  const worker = await collected();
  await submit(store, other);
  const jobId = await submit(store, diamond());
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await work(worker)).toHaveLength(4);
  await checkInvariants(world());
});

test("a kept intermediate whose bytes are lost is made again from inputs that are made again first", async () => {
  const { store, sql } = world();
  const worker = createWorker(store);
  await submit(store, diamond());
  await work(worker);
  // Asked for while it was there, so only what it was made from is collected.
  const jobId = await submit(store, other);
  await sql("update task_user set is_wanted = false where task_id in (select id from task where content_key = any ($1))", [["left", "right"].map(sha256)]); // prettier-ignore
  await collect();
  await sql("update task_user u set is_wanted = true from render r where r.id = u.render_id and r.job_id = $1", [jobId]);
  const claim = await worker.claim();
  await worker.fail(claim, "ARTIFACT_MISSING", [claim.inputs[0]?.sha256 ?? ""]);
  await checkInvariants(world());
  expect(await work(worker)).toEqual(["left", "middle", "other last", "right"]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await generations()).toMatchObject({ middle: 1 });
  expect(await sql("select 1 from task where generation = 2")).toHaveLength(2);
  await checkInvariants(world());
});

test("a render that failed is run again with all that it takes, though it had reused some that was collected since", async () => {
  const { store } = world();
  const worker = await collected();
  const jobId = await submitBatch(store, [diamond(), other]);
  for (const name of ["left", "right", "middle"]) expect(name).toBe(await workOne(worker));
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed" });
  await collect();
  await store.retryJob("local", jobId);
  expect(await work(worker)).toEqual(["left", "middle", "other last", "right"]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await generations()).toEqual({ left: 3, right: 3, middle: 3, last: 1, "other last": 2 });
});

async function workOne(worker: Worker): Promise<string> {
  const claim = await worker.claim();
  await worker.succeed(claim, ["out"]);
  return (claim.parameters as { textEncode: { prompt: string } }).textEncode.prompt;
}

test("submits that race with collection end with a result, and make nothing again that was kept", async () => {
  const { store, openAnother } = world();
  const another = await openAnother();
  const worker = await collected();
  for (let round = 0; round < 6; round += 1) {
    const asked = [...diamond().slice(0, 3), task(`last ${round}`, { after: ["middle"], artifacts: ["mp4"] })];
    await submit(store, asked);
    await work(worker);
    const epoch = await epochOf(world(), "collection");
    await another.condemnArtifacts(epoch);
    const condemned = await another.condemnArtifacts(epoch);
    const [jobId] = await Promise.all([
      submit(
        store,
        round % 2 === 0 ? asked : [...diamond().slice(0, 3), task(`more last ${round}`, { after: ["middle"], artifacts: ["mp4"] })],
      ),
      ...condemned.map((hash) => another.collectArtifact(hash, () => Promise.resolve())),
    ]);
    const ran = await work(worker);
    if (round % 2 === 0) expect(ran).toEqual([]);
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
    await checkInvariants(world());
  }
});
