import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type FarmServiceClient,
  GetRenderRequest,
  ListJobsRequest,
  ListRendersRequest,
  type RenderSpec,
  SubmitRendersRequest,
  type SubmitRendersResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { fromRpcStatus } from "../../../services/platform/grpc/status.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, getJob, type Media, present, refusalOf, renderRequest, uploadMedia } from "../../support/farm-calls.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
  media = await uploadMedia(client);
});
afterAll(() => farm.stop());

const render = (change: Partial<RenderSpec> = {}): RenderSpec => present(renderRequest(media, change).render);

function submitAll(renders: readonly RenderSpec[], change: Partial<SubmitRendersRequest> = {}): Promise<SubmitRendersResponse> {
  return call(client.submitRenders.bind(client), SubmitRendersRequest.create({ renders: [...renders], ...change }));
}

async function countJobs(): Promise<number> {
  return (await call(client.listJobs.bind(client), ListJobsRequest.create({ pageSize: 1_000 }))).jobs.length;
}

const fates = ({ outcomes }: SubmitRendersResponse) => outcomes.map(({ outcome }) => outcome?.$case);

describe("a batch of renders", () => {
  it("is one job, with a drawn seed for each render that has none", async () => {
    const { job, outcomes } = await submitAll([
      render({ prompt: "one" }),
      render({ prompt: "two" }),
      render({ prompt: "three", seed: 7n }),
    ]);
    expect(outcomes.map(({ index, outcome }) => [index, outcome])).toEqual(
      [0, 1, 2].map((position) => [position, { $case: "position", value: position }]),
    );
    expect(present(job).renderCounts).toMatchObject({ total: 3, queued: 3 });
    const listed = await call(client.listRenders.bind(client), ListRendersRequest.create({ jobId: present(job).jobId }));
    expect(listed.renders.map(({ position, spec }) => [position, spec?.prompt])).toEqual([
      [0, "one"],
      [1, "two"],
      [2, "three"],
    ]);
    const seeds = listed.renders.map(({ spec }) => spec?.seed);
    expect([seeds[2], seeds[0] === seeds[1]]).toEqual([7n, false]);
    const one = await call(client.getRender.bind(client), GetRenderRequest.create({ jobId: present(job).jobId, position: 1 }));
    expect(one.render?.inputs.map(({ name, sha256 }) => [name, sha256])).toEqual([
      ["input_image", media.image],
      ["input_reference_1", media.clip],
    ]);
    expect(one.render?.tasks.find(({ stage }) => stage === "denoise")?.dependsOn.length).toBeGreaterThan(0);
  });

  it("stores nothing when one item is wrong, and tells of each wrong one as a call of its own would", async () => {
    const before = await countJobs();
    const answer = await submitAll([render(), render({ steps: 0, width: 1 }), render({ model: "none" })]);
    expect([answer.job, await countJobs()]).toEqual([undefined, before]);
    expect(fates(answer)).toEqual([undefined, "error", "error"]);
    const errors = answer.outcomes.flatMap(({ outcome }) => (outcome?.$case === "error" ? [fromRpcStatus(outcome.value)] : []));
    expect(errors.map(({ code }) => code)).toEqual(["FIELD_INVALID", "MODEL_UNKNOWN"]);
    expect(errors[0]?.details.fields?.map(({ field }) => field)).toEqual(["renders[1].steps", "renders[1].width"]);
  });

  it("stores the right ones alone where that is allowed", async () => {
    const answer = await submitAll([render({ steps: 0 }), render(), render({ image: undefined }), render()], { allowPartial: true });
    expect(answer.outcomes.map(({ outcome }) => (outcome?.$case === "position" ? outcome.value : outcome?.$case))).toEqual([
      "error",
      0,
      "error",
      1,
    ]);
    expect(answer.job?.renderCounts?.total).toBe(2);
    expect((await submitAll([render({ steps: 0 })], { allowPartial: true })).job).toBeUndefined();
  });

  it("is only checked when asked to", async () => {
    const before = await countJobs();
    const right = await submitAll([render(), render()], { validateOnly: true, idempotencyKey: "checked" });
    expect([right.job, fates(right), await countJobs()]).toEqual([undefined, [undefined, undefined], before]);
    const stored = await submitAll([render(), render()], { idempotencyKey: "checked" });
    expect(stored.job).toBeDefined();
  });

  it("is answered once for a repeated key, and refused under the key of another body", async () => {
    const request = { idempotencyKey: "batch" };
    const first = await submitAll([render(), render()], request);
    const again = await submitAll([render(), render()], request);
    expect([again.job?.jobId, again.outcomes]).toEqual([first.job?.jobId, []]);
    const another = { code: "IDEMPOTENCY_CONFLICT" };
    await expect(submitAll([render()], request)).rejects.toMatchObject(another);
    await submitAll([render()], { idempotencyKey: "of one" });
    const single = call(client.submitRender.bind(client), { ...renderRequest(media), idempotencyKey: "of one" });
    await expect(single).rejects.toMatchObject(another);
  });

  it.each([
    ["no renders", 0],
    ["too many", 1_001],
  ])("with %s is refused, with everything else that is wrong with the job", async (_case, count) => {
    const refused = await refusalOf(submitAll(Array<RenderSpec>(count).fill(render({ prompt: "" })), { priority: 101 }));
    expect(refused.details.fields?.map(({ field }) => field)).toEqual(["renders", "priority"]);
  });

  it("of a thousand wrong ones has an answer that a client can take", async () => {
    const wrong = render({ model: "😀".repeat(100), steps: 0, seed: -1n, width: 1, prompt: "a\0" });
    const { outcomes } = await submitAll(Array<RenderSpec>(1_000).fill(wrong));
    expect(new Set(outcomes.map(({ outcome }) => outcome?.$case))).toEqual(new Set(["error"]));
  });

  it("of a thousand is stored whole", { timeout: 60_000 }, async () => {
    const renders = Array.from({ length: 1_000 }, (_one, index) => render({ seed: BigInt(index) }));
    const { job, outcomes } = await submitAll(renders);
    expect([job?.renderCounts?.total, outcomes.length]).toEqual([1_000, 1_000]);
    expect((await getJob(client, present(job).jobId)).tasks).toEqual([]);
  });
});

describe("inputs inside a request", () => {
  const image = { sha256: "", inline: Buffer.from("IMAGE inline"), uri: "" };

  it("are stored with it, and named by their hash in the answer", async () => {
    const { job } = await submitAll([render({ image }), render({ image, prompt: "again" })]);
    const { renders } = await call(client.listRenders.bind(client), ListRendersRequest.create({ jobId: present(job).jobId }));
    const hashes = renders.map(({ spec }) => spec?.image?.sha256);
    expect([hashes[0]?.length, hashes[0] === hashes[1], renders[0]?.spec?.image?.inline.length]).toEqual([64, true, 0]);
  });

  it.each([
    ["that are no media", { ...image, inline: Buffer.from("nothing") }, "MEDIA_NOT_DECODABLE"],
    ["beside a hash", { ...image, sha256: "a".repeat(64) }, "FIELD_INVALID"],
    ["that are too large", { ...image, inline: Buffer.alloc(1024 * 1024 + 1) }, "FIELD_INVALID"],
    ["by no address", { ...image, inline: Buffer.alloc(0), uri: "file:///etc/passwd" }, "FIELD_INVALID"],
    ["by an address that nobody allowed", { ...image, inline: Buffer.alloc(0), uri: "https://example.com/a.png" }, "ADDRESS_REFUSED"],
    ["that are nothing", { ...image, inline: Buffer.alloc(0) }, "FIELD_INVALID"],
  ])("%s are refused by their field", async (_case, source, code) => {
    const refused = await refusalOf(call(client.submitRender.bind(client), renderRequest(media, { image: source })));
    expect([refused.code, refused.details.fields?.map(({ field }) => field)]).toEqual([code, ["render.image"]]);
  });

  it("judge a reference that is an image once it is known to be one", async () => {
    const refused = await refusalOf(call(client.submitRender.bind(client), renderRequest(media, { references: [image] })));
    expect(refused.details.fields?.map(({ field, reason }) => [field, reason])).toEqual([["render.references[0]", "is an image"]]);
  });
});

describe("a webhook", () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const submitTo = (url: string, key: string) =>
    call(client.submitRender.bind(client), { ...renderRequest(media), webhook: { url, secret: key, delivery: undefined } });

  it("is told in the job without its secret", async () => {
    const { job } = await submitTo("https://example.com/done", secret);
    expect(job?.webhook).toEqual({ url: "https://example.com/done", secret: "", delivery: undefined });
  });

  it.each([
    ["without https", "ftp://example.com", secret, ["webhook.url"]],
    ["with credentials", "https://me:you@example.com/", secret, ["webhook.url"]],
    ["at a private address", "https://127.0.0.1/done", secret, ["webhook.url"]],
    ["with a short key", "https://example.com/done", "whsec_AAAA", ["webhook.secret"]],
    ["with neither", "", "", ["webhook.url", "webhook.secret"]],
  ])("%s is refused", async (...[, url, key, fields]) => {
    const refused = await refusalOf(submitTo(url, key));
    expect(refused.details.fields?.map(({ field }) => field)).toEqual(fields);
    expect(JSON.stringify(refused.details)).not.toContain(secret);
  });
});
