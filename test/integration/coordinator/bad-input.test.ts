/**
 * What clients get wrong, on purpose or not: each case gives a typed error, stores nothing, and leaves the server answering.
 *
 * Real Postgres, NATS and gRPC; the requests are bytes, made from tables and, for every method of the descriptors, from draws.
 */
import { ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isErrorCode } from "../../../services/domain/errors.ts";
import { GetJobRequest, SubmitRendersRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { Pool } from "../../../services/platform/database/pool.ts";
import { callUnary } from "../../../services/platform/grpc/client.ts";
import { type BadCase, fill, plainCases } from "../../support/bad-input/cases.ts";
import { openPrintPool, printDatabase } from "../../support/bad-input/database-print.ts";
import { messageOf } from "../../support/bad-input/draws.ts";
import { type ItemCase, itemCases, submitCases, uploadCases } from "../../support/bad-input/media-cases.ts";
import { connectWire, encode, methods, readStatus, type WireFarm, type WireOutcome } from "../../support/bad-input/wire.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { getJob, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { playWorker } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let wire: WireFarm;
let pool: Pool;
let names: Readonly<Record<string, string>>;
let print: unknown;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start();
  wire = connectWire(running.coordinator.grpcAddress());
  pool = openPrintPool(farm.databaseUrl);
  const media = await uploadMedia(running.client);
  const done = await submit(running.client, renderRequest(media));
  const workerId = await finishAll(done.jobId);
  const open = await submit(running.client, renderRequest(media, { prompt: "another" }));
  names = { JOB: open.jobId, DONE: done.jobId, IMAGE: media.image, CLIP: media.clip, WORKER: workerId };
}, 60_000);
beforeEach(async () => {
  print = await printAll();
});
afterAll(async () => {
  wire.close();
  await pool.end();
  await farm.stop();
});

/** A played worker ends the job and leaves. */
async function finishAll(jobId: string): Promise<string> {
  const worker = await playWorker(farm.broker, farm.artifacts);
  while ((await getJob(running.client, jobId)).artifacts.length === 0) {
    await worker.finish(await worker.claim());
  }
  worker.stop();
  return worker.workerId;
}

async function printAll(): Promise<unknown> {
  const files = await Promise.all([farm.artifactsFolder, running.uploadsFolder].map(filesUnder));
  return { rows: await printDatabase(pool), files: files.map((each) => each.toSorted()) };
}

function send({ method, messages }: Pick<BadCase, "method" | "messages">): Promise<WireOutcome> {
  return wire.call(
    method,
    messages.map((message) => encode(method, fill(message, names))),
  );
}

async function expectNothingChanged(): Promise<void> {
  expect(await printAll()).toEqual(print);
  expect(await wire.call("GetFarm", [encode("GetFarm", {})])).toMatchObject({ status: "OK" });
}

const titled = (cases: readonly BadCase[]) => cases.map((each): [string, BadCase] => [`${each.method}: ${each.title}`, each]);

describe.each([
  ["requests", plainCases],
  ["submits", submitCases],
  ["uploads", uploadCases],
])("%s that no farm can serve", (_, cases) => {
  test.each(titled(cases))("%s", async (_title, each) => {
    const outcome = await send(each);
    expect(each.codes, `${outcome.status}: ${outcome.message}`).toContain(outcome.code);
    expect(outcome.remedy).not.toBe("");
    if (each.field !== undefined) expect(outcome.fields.map((field) => field.split(".").slice(0, 3).join("."))).toContain(each.field);
    await expectNothingChanged();
  });
});

describe("a batch with one wrong item", () => {
  test.each(itemCases.map((each): [string, ItemCase] => [each.title, each]))("stores nothing: %s", async (_, each) => {
    const request = SubmitRendersRequest.decode(encode("SubmitRenders", fill(each.message, names)));
    const answer = await callUnary(running.client.submitRenders.bind(running.client), request, { deadlineMs: 20_000 });
    expect(answer.job).toBeUndefined();
    const wrong = answer.outcomes.flatMap(({ index, outcome }) =>
      outcome?.$case === "error" ? [{ index, ...readStatus(outcome.value) }] : [],
    );
    expect(wrong.map(({ index }) => index)).toEqual([1]);
    expect(each.codes).toContain(wrong[0]?.code);
    expect(wrong[0]?.fields.map((field) => field.split(".").slice(0, each.field.split(".").length).join("."))).toContain(each.field);
    await expectNothingChanged();
  });
});

const malformed: Readonly<Record<string, readonly number[]>> = {
  "bytes that are no message": [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  "a field that ends too early": [0x0a, 0x20, 0x61],
  "a length beyond all memory": [0x0a, 0xff, 0xff, 0xff, 0xff, 0x07],
};

describe("bytes that are no request", () => {
  test.each(
    methods.flatMap(({ name }) =>
      Object.entries(malformed).map(([title, bytes]): [string, string, readonly number[]] => [name, title, bytes]),
    ),
  )("%s: %s", async (method, _title, bytes) => {
    const outcome = await wire.call(method, [Uint8Array.from(bytes)]);
    expect(outcome).toMatchObject({ status: "INVALID_ARGUMENT", code: "REQUEST_MALFORMED" });
    await expectNothingChanged();
  });
});

/** Field 1 of these is a text. */
const withText = methods.filter(({ input }) => input.fields.some(({ number, scalar }) => number === 1 && scalar === ScalarType.STRING));

describe("text that is no UTF-8", () => {
  test.each(withText.map(({ name }) => name))("%s", async (method) => {
    const outcome = await wire.call(method, [Uint8Array.from([0x0a, 0x03, 0x61, 0xff, 0x62])]);
    expect(outcome).toMatchObject({ status: "INVALID_ARGUMENT", code: "REQUEST_MALFORMED" });
    await expectNothingChanged();
  });
});

describe("a message above the limit", () => {
  test.each(methods.map(({ name }) => name))("%s", async (method) => {
    expect(await wire.call(method, [new Uint8Array(4 * 1024 ** 2 + 1)])).toMatchObject({ status: "RESOURCE_EXHAUSTED" });
    await expectNothingChanged();
  });

  test("is told to a client of ours as what it is", async () => {
    const request = GetJobRequest.create({ jobId: "x".repeat(4 * 1024 ** 2) });
    const call = callUnary(running.client.getJob.bind(running.client), request, { deadlineMs: 20_000 });
    await expect(call).rejects.toMatchObject({ code: "REQUEST_TOO_LARGE" });
  });
});

/** The same draws each time; another seed is another search. */
const seed = Number(process.env["VAPFARM_DRAWS_SEED"] ?? 20_261_122);

/** Methods that read: with drawn requests they may succeed, and must not change anything either way. */
const reading = methods.filter(({ name }) => /^(Get|List|Explain|Watch|Download)/.test(name));

describe("drawn requests", () => {
  test.each(methods.map((method) => [method.name, method] as const))(
    "%s answers each with a code of the table",
    { timeout: 60_000 },
    async (name, method) => {
      let before = print;
      const property = fc.asyncProperty(messageOf(method.input), async (message) => {
        const outcome = await wire.call(name, [encode(name, fill(message, names))]);
        const after = await printAll();
        if (outcome.status === "OK" && !reading.includes(method)) {
          before = after;
          return;
        }
        expect(after).toEqual(before);
        if (outcome.status === "OK") return;
        expect(outcome.code === undefined ? outcome : isErrorCode(outcome.code)).toBe(true);
        expect(["INTERNAL", "UNKNOWN"]).not.toContain(outcome.status);
      });
      await fc.assert(property, { numRuns: 25, seed });
      expect(await wire.call("GetFarm", [encode("GetFarm", {})])).toMatchObject({ status: "OK" });
    },
  );
});

test("after all of it the farm still renders", async () => {
  const outcome = await send({ method: "SubmitRender", messages: [{ render: { model: "demo", image: { sha256: "IMAGE" }, prompt: "x", references: [{ sha256: "CLIP" }], referencePrompts: ["y"] } }] }); // prettier-ignore
  expect(outcome.status).toBe("OK");
});
