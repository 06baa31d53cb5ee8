import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FarmError } from "../../../services/domain/errors.ts";
import { type FarmServiceClient, GetJobRequest, MediaReference, SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { OutputKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { callUnary, type UnaryMethod } from "../../../services/platform/grpc/client.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import {
  cancel,
  download,
  getJob,
  listWorkers,
  type Media,
  refusalOf,
  renderRequest,
  submit,
  upload,
  uploadMedia,
  watch,
  watchedEvents,
} from "../../support/farm-calls.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
let jobId = "";

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
  media = await uploadMedia(client);
  ({ jobId } = await submit(client, renderRequest(media)));
});
afterAll(() => farm.stop());

const known = ["\0", "a\0b", "\ud800", "\udfff!", "'; drop table job; --", "../../../etc/passwd", "*", "vf.>", "%00", "null", "__proto__"];
const long = ["\0".repeat(5_000), "é".repeat(90_000), `${"x".repeat(79)}😀`, "\u202e", "\ufeff"];
const hostile = fc.oneof(
  fc.constantFrom(...known, ...long),
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc.string({ unit: "binary-ascii", maxLength: 200 }),
);
const runs = { numRuns: 60, examples: [...known, ...long].map((text): [string] => [text]) };

async function expectRefused(call: Promise<unknown>, ...codes: readonly FarmError["code"][]): Promise<void> {
  expect(codes).toContain((await refusalOf(call)).code);
}

/** Either accepted or refused as an invalid argument: never a fault of the farm. */
async function expectJudged(call: Promise<unknown>): Promise<void> {
  const refused = await call.then(
    () => undefined,
    (thrown: unknown) => thrown as FarmError,
  );
  if (refused !== undefined) expect([refused.code, refused.details["grpcStatus"]]).toEqual([refused.code, "INVALID_ARGUMENT"]);
}

/** Sends bytes as they are instead of a message that was encoded in order. */
function sendRaw(method: "GetJob" | "SubmitRender", bytes: Uint8Array): Promise<unknown> {
  const call: UnaryMethod<Uint8Array, Buffer> = (...[request, metadata, options, callback]) =>
    client.makeUnaryRequest<Uint8Array, Buffer>(
      `/vapfarm.v1.FarmService/${method}`,
      (value) => Buffer.from(value),
      (value) => value,
      request,
      metadata,
      options,
      (error, answer) => callback(error, answer ?? Buffer.alloc(0)),
    );
  return callUnary(call, bytes, { deadlineMs: 30_000 });
}

describe("hostile text", { timeout: 60_000 }, () => {
  it("as a job id is an unknown job, for every method that takes one", async () => {
    const methods = [
      (id: string) => getJob(client, id),
      (id: string) => cancel(client, id),
      (id: string) => watchedEvents(watch(client, { jobId: id })),
      (id: string) => download(client, id, "mp4"),
    ];
    const property = fc.asyncProperty(hostile, async (id) => {
      for (const method of methods) await expectRefused(method(id), "JOB_UNKNOWN");
    });
    await fc.assert(property, runs);
  });

  it("as an artifact's name is an unknown artifact", async () => {
    const property = fc.asyncProperty(hostile, (name) => expectRefused(download(client, jobId, name), "ARTIFACT_UNKNOWN"));
    await fc.assert(property, runs);
  });

  it("as an idempotency key is a key or an invalid field", async () => {
    const property = fc.asyncProperty(hostile, (idempotencyKey) =>
      expectJudged(submit(client, { ...renderRequest(media, { seed: 1n }), idempotencyKey })),
    );
    await fc.assert(property, runs);
    await expectRefused(submit(client, { ...renderRequest(media), idempotencyKey: "a\0b" }), "FIELD_INVALID");
  });

  it.each(["model", "prompt", "negativePrompt", "image", "references", "referencePrompts"] as const)(
    "as %s of a render is judged like any other value",
    async (field) => {
      const changeOf = (text: string) => {
        if (field === "image") return { image: MediaReference.create({ sha256: text }) };
        if (field === "references") return { references: [MediaReference.create({ sha256: text })] };
        return field === "referencePrompts" ? { referencePrompts: [text] } : { [field]: text };
      };
      const property = fc.asyncProperty(hostile, (text) => expectJudged(submit(client, renderRequest(media, changeOf(text)))));
      await fc.assert(property, runs);
    },
  );

  it("in an upload's header is ignored as a name and refused as a hash", async () => {
    const property = fc.asyncProperty(hostile, async (text) => {
      await upload(client, Buffer.from("CLIP 5"), { fileName: text });
      await expectRefused(upload(client, Buffer.from("CLIP 5"), { sha256: text }), "FIELD_INVALID");
    });
    await fc.assert(property, runs);
  });

  it("that is no UTF-8 is no request, and a time that is none an invalid field", async () => {
    const tag = GetJobRequest.encode(GetJobRequest.create({ jobId: "xx" }))
      .finish()
      .subarray(0, 2);
    await expectRefused(sendRaw("GetJob", Buffer.concat([tag, Buffer.from([0xff, 0xc0])])), "REQUEST_MALFORMED");
    const request = SubmitRenderRequest.encode(renderRequest(media)).finish();
    // Field 5, a message of field 1: the greatest number of seconds.
    const endless = Buffer.from([0x2a, 10, 0x08, ...Array<number>(8).fill(0xff), 0x7f]);
    await expectRefused(sendRaw("SubmitRender", Buffer.concat([request, endless])), "FIELD_INVALID");
    const late = new Date(8.64e15);
    await expectRefused(submit(client, { ...renderRequest(media), deadline: late }), "FIELD_INVALID");
  });

  it("in thousands of wrong fields still comes back as an answer that clients can take", async () => {
    const outputs = Array<OutputKind>(5_000).fill(77 as OutputKind);
    const refused = await refusalOf(submit(client, renderRequest(media, { outputs, model: "😀".repeat(1_000) })));
    expect([refused.code, refused.details.fields?.length]).toEqual(["FIELD_INVALID", 16]);
  });

  it("has harmed nothing", async () => {
    expect((await getJob(client, jobId)).jobId).toBe(jobId);
    expect(await listWorkers(client)).toEqual([]);
  });
});
