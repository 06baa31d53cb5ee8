import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import {
  DownloadArtifactRequest,
  DownloadArtifactResponse,
  FarmServiceClient,
  FarmServiceService,
  GetJobRequest,
  GetJobResponse,
  UploadMediaResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { callClientStream, callServerStream, callUnary, connectClient } from "../../../services/platform/grpc/client.ts";
import { clientStream, serverStream, unary } from "../../../services/platform/grpc/handlers.ts";
import { createGrpcServer, type GrpcServer } from "../../../services/platform/grpc/server.ts";
import { collect } from "../../support/collect.ts";

const maxMessageBytes = 1_000_000;
const aborted = Promise.withResolvers<undefined>();
const produced = { count: 0 };
let server: GrpcServer;
let client: FarmServiceClient;

const refusal = new FarmError("FIELD_INVALID", {
  message: "render.steps: 0; is outside",
  details: { fields: [{ field: "render.steps", reason: "0; is outside 1 .. 1000", remedy: "choose another; please" }] },
});

async function played({ jobId }: GetJobRequest, signal: AbortSignal): Promise<GetJobResponse> {
  switch (jobId) {
    case "refused":
      throw refusal;
    case "broken":
      throw new TypeError("a secret of the inside");
    case "hangs":
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      aborted.resolve(undefined);
      return GetJobResponse.create();
    default:
      return GetJobResponse.create({ job: { jobId } });
  }
}

async function* stream({ name }: { readonly name: string }): AsyncGenerator<DownloadArtifactResponse> {
  const chunk = Buffer.alloc(100_000, 1);
  for (produced.count = 0; produced.count < 500; produced.count += 1) {
    if (name === "fails" && produced.count === 2) throw refusal;
    yield DownloadArtifactResponse.create({ chunk });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

beforeAll(async () => {
  const implementation = {
    getJob: unary(async (request: GetJobRequest, { signal }) => played(request, signal)),
    downloadArtifact: serverStream(stream),
    uploadMedia: clientStream(async (messages) => {
      for await (const message of messages) if (message !== undefined) throw refusal;
      return UploadMediaResponse.create();
    }),
  };
  const service = { name: "vapfarm.v1.FarmService", definition: FarmServiceService, implementation };
  server = createGrpcServer({ address: "127.0.0.1:0", services: [service], maxMessageBytes, reflection: undefined, drainMs: 100 });
  await server.start();
  client = connectClient(FarmServiceClient, server.address(), maxMessageBytes);
});
afterAll(async () => {
  client.close();
  await server.stop();
});

const options = { deadlineMs: 10_000 };
const getJob = (jobId: string, call = options) => callUnary(client.getJob.bind(client), GetJobRequest.create({ jobId }), call);

describe("errors over gRPC", () => {
  it("carry code, status, message and every field both ways", async () => {
    const expected = {
      code: "FIELD_INVALID",
      message: refusal.message,
      details: { grpcStatus: "INVALID_ARGUMENT", fields: refusal.details.fields },
    };
    await expect(getJob("refused")).rejects.toMatchObject(expected);
    await expect(
      collect(
        callServerStream(client.downloadArtifact.bind(client), DownloadArtifactRequest.create({ jobId: "", name: "fails" }), options),
      ),
    ).rejects.toMatchObject(expected);
    const endless = (function* () {
      for (;;) yield { part: { $case: "chunk" as const, value: Buffer.alloc(1_000) } };
    })();
    await expect(callClientStream(client.uploadMedia.bind(client), endless, options)).rejects.toMatchObject(expected);
  });

  it("do not tell what an unexpected error said", async () => {
    await expect(getJob("broken")).rejects.toMatchObject({ code: "INTERNAL", message: "an unexpected error" });
  });

  it("say that nobody listens", async () => {
    const nobody = connectClient(FarmServiceClient, "127.0.0.1:1", maxMessageBytes);
    await expect(callUnary(nobody.getJob.bind(nobody), GetJobRequest.create({ jobId: "" }), { deadlineMs: 2_000 })).rejects.toMatchObject({
      code: "COORDINATOR_UNAVAILABLE",
    });
    nobody.close();
  });
});

describe("a call", () => {
  it("ends at its deadline and tells the handler", async () => {
    await expect(getJob("hangs", { deadlineMs: 200 })).rejects.toMatchObject({ code: "DEADLINE_PASSED" });
    await aborted.promise;
  });

  it("that streams more than the caller takes is held back, and ended when the caller leaves", async () => {
    const answers = callServerStream(
      client.downloadArtifact.bind(client),
      DownloadArtifactRequest.create({ jobId: "", name: "long" }),
      options,
    );
    await answers.next();
    await answers.return(undefined);
    const seen = produced.count;
    expect(seen).toBeLessThan(500);
    await getJob("in between");
    await getJob("in between");
    expect(produced.count).toBeLessThan(seen + 50);
  });
});
