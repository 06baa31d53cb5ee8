import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type FarmServiceClient,
  GetJobRequest,
  JobClass,
  JobState,
  ListEventsRequest,
  ListJobsRequest,
  ListRendersRequest,
  SubmitRendersRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, cancel, type Media, present, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
const jobIds: string[] = [];
let batchId = "";

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
  media = await uploadMedia(client);
  for (const priority of [3, 1, 2]) {
    const idempotencyKey = `priority ${priority}`;
    jobIds.push((await submit(client, { ...renderRequest(media), priority, idempotencyKey })).jobId);
  }
  await cancel(client, present(jobIds[1]));
  const renders = [1, 2, 3].map((seed) => present(renderRequest(media, { seed: BigInt(seed) }).render));
  const batch = SubmitRendersRequest.create({ renders, jobClass: JobClass.JOB_CLASS_BENCHMARK });
  batchId = present((await call(client.submitRenders.bind(client), batch)).job).jobId;
});
afterAll(() => farm.stop());

const list = (change: Partial<ListJobsRequest>) => call(client.listJobs.bind(client), ListJobsRequest.create(change));
const idsOf = async (change: Partial<ListJobsRequest>) => (await list(change)).jobs.map(({ jobId }) => jobId);
const fieldsOf = async (asked: Promise<unknown>) => (await refusalOf(asked)).details.fields?.map(({ field }) => field);

/** Every page of a list, one job each. */
async function pages(change: Partial<ListJobsRequest>): Promise<readonly string[]> {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await list({ ...change, pageSize: 1, pageToken });
    found.push(...page.jobs.map(({ jobId }) => jobId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

describe("a list of jobs", () => {
  it.each(["", "create_time", "create_time desc", "priority", "priority desc", "end_time", "end_time desc"])(
    "ordered by '%s' has the same jobs page by page",
    async (orderBy) => {
      const whole = await idsOf({ orderBy });
      expect(whole).toHaveLength(4);
      expect(await pages({ orderBy })).toEqual(whole);
    },
  );

  it("is newest first, and goes by priority or end where asked", async () => {
    const [first = "", second = "", third = ""] = jobIds;
    expect(await idsOf({})).toEqual([batchId, third, second, first]);
    expect(await idsOf({ orderBy: "priority desc" })).toEqual([first, third, second, batchId]);
    expect((await idsOf({ orderBy: "end_time" }))[0]).toBe(second);
    expect((await idsOf({ orderBy: "end_time desc" })).at(-1)).toBe(second);
  });

  it("is filtered by state, class, model, time and key", async () => {
    const [first = "", second = ""] = jobIds;
    expect(await idsOf({ states: [JobState.JOB_STATE_CANCELLED] })).toEqual([second]);
    expect(await idsOf({ jobClass: JobClass.JOB_CLASS_BENCHMARK })).toEqual([batchId]);
    expect(await idsOf({ model: "none" })).toEqual([]);
    expect(await idsOf({ model: "demo" })).toHaveLength(4);
    expect(await idsOf({ idempotencyKey: "priority 3" })).toEqual([first]);
    expect(await idsOf({ createdAfter: new Date(Date.now() + 3_600_000) })).toEqual([]);
    expect(await idsOf({ createdBefore: new Date(Date.now() + 3_600_000) })).toHaveLength(4);
  });

  it("shows what the mask names, and no tasks", async () => {
    const { jobs } = await list({ readMask: ["job_id", "state"] });
    expect(jobs.map(({ jobId, tenant, createTime }) => [jobId.length, tenant, createTime])).toEqual(Array(4).fill([36, "", undefined]));
    const whole = await list({});
    expect(whole.jobs.every(({ tasks, tenant }) => tasks.length === 0 && tenant === "local")).toBe(true);
    const { job } = await call(client.getJob.bind(client), GetJobRequest.create({ jobId: batchId, readMask: ["render_counts"] }));
    expect([job?.jobId, job?.renderCounts?.total]).toEqual(["", 3]);
  });

  it("refuses tokens that were altered or belong to another question", async () => {
    const { nextPageToken } = await list({ pageSize: 1 });
    expect(nextPageToken).toMatch(/^[A-Za-z0-9_-]+$/);
    const renders = await call(client.listRenders.bind(client), ListRendersRequest.create({ jobId: batchId, pageSize: 1 }));
    const wrong = [
      { pageToken: `${nextPageToken.slice(0, -1)}${nextPageToken.endsWith("A") ? "B" : "A"}` },
      { pageToken: nextPageToken.slice(1) },
      { pageToken: nextPageToken, orderBy: "priority" },
      { pageToken: nextPageToken, model: "demo" },
      { pageToken: renders.nextPageToken },
      { pageToken: "x".repeat(100_000) },
      { pageToken: "\0" },
    ];
    for (const request of wrong) expect(await fieldsOf(list(request))).toEqual(["page_token"]);
    expect((await list({ pageSize: 2, pageToken: nextPageToken })).jobs).toHaveLength(2);
  });

  it("tells of every wrong field at once", async () => {
    const wrong: Partial<ListJobsRequest> = {
      tenant: "a b",
      states: [77 as JobState, JobState.JOB_STATE_UNSPECIFIED],
      jobClass: 9 as JobClass,
      model: "a\0b",
      orderBy: "name",
      pageSize: 1_001,
      readMask: ["job_id", "secrets"],
      idempotencyKey: "a\nb",
    };
    expect([...((await fieldsOf(list(wrong))) ?? [])].sort()).toEqual(
      ["idempotency_key", "job_class", "model", "order_by", "page_size", "read_mask", "states[0]", "states[1]", "tenant"].sort(),
    );
    expect(await fieldsOf(list({ pageSize: -1 }))).toEqual(["page_size"]);
  });
});

describe("the renders and events of a job", () => {
  it("are listed page by page", async () => {
    const ask = (change: Partial<ListRendersRequest>) =>
      call(client.listRenders.bind(client), ListRendersRequest.create({ jobId: batchId, ...change }));
    const first = await ask({ pageSize: 2 });
    const second = await ask({ pageSize: 2, pageToken: first.nextPageToken });
    expect([first, second].map(({ renders }) => renders.map(({ position }) => position))).toEqual([[0, 1], [2]]);
    expect(second.nextPageToken).toBe("");
    expect((await ask({ states: [JobState.JOB_STATE_FAILED] })).renders).toEqual([]);
    expect(await fieldsOf(ask({ states: [8 as JobState], pageSize: -1 }))).toEqual(["states[0]", "page_size"]);
  });

  it("say whether there are more events", async () => {
    const ask = (change: Partial<ListEventsRequest>) =>
      call(client.listEvents.bind(client), ListEventsRequest.create({ jobId: present(jobIds[1]), ...change }));
    const whole = await ask({});
    expect([whole.events[0]?.kind, whole.events.at(-1)?.kind, whole.hasMore]).toEqual(["job.submitted", "job.cancelled", false]);
    const page = await ask({ pageSize: 1 });
    expect([page.events.length, page.hasMore]).toEqual([1, true]);
    expect((await ask({ afterEventNumber: 2n ** 62n })).events).toEqual([]);
    expect(await fieldsOf(ask({ afterEventNumber: -1n, pageSize: 5_000 }))).toEqual(["after_event_number", "page_size"]);
  });
});
