import { Client, credentials } from "@grpc/grpc-js";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmServiceClient } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { connectClient } from "../../../services/platform/grpc/client.ts";
import { startCoordinatorProcess as start } from "../../support/coordinator-process.ts";
import { listWorkers, upload } from "../../support/farm-calls.ts";
import { makeClip, testFfmpegPath } from "../../support/ffmpeg.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

let folder: string;
let postgres: TestPostgres;
let nats: TestNats;
let ffmpeg: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-coordinator-"));
  [postgres, nats, ffmpeg] = await Promise.all([startTestPostgres(), startTestNats(), testFfmpegPath()]);
});
afterAll(async () => {
  await Promise.all([postgres.stop(), nats.stop()]);
  await rm(folder, { recursive: true, force: true });
});

function settings(databaseUrl: string): Readonly<Record<string, string>> {
  return {
    DATABASE_URL: databaseUrl,
    NATS_URL: nats.url,
    VAPFARM_MODELS: join(import.meta.dirname, "../../../models"),
    VAPFARM_ARTIFACTS: `folder:${join(folder, "artifacts")}`,
    VAPFARM_STATE_FOLDER: join(folder, "state"),
    VAPFARM_POOLS: '[{"name":"cpu","profile":"cpu;x"}]',
    VAPFARM_FFMPEG: ffmpeg,
    VAPFARM_EXIT_WITH_PARENT: "1",
  };
}

/** One message to a method that this project has no generated client for, and its first answer. */
async function askRaw(address: string, method: string, message: Buffer): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(method, same, same, { deadline: Date.now() + 10_000 });
  call.end(message);
  try {
    return (await once(call, "data"))[0] as Buffer;
  } finally {
    call.cancel();
    call.on("error", () => undefined);
    client.close();
  }
}

describe("the coordinator's process", () => {
  it("tells its parent when it answers, over gRPC and HTTP, and ends in order with it", async () => {
    const child = start(settings(await postgres.createDatabase()));
    const { kind, name, grpcAddress, httpAddress } = await child.ready;
    expect([kind, name]).toEqual(["ready", "coordinator"]);
    const client = connectClient(FarmServiceClient, grpcAddress, 4 * 1024 * 1024);
    expect(await listWorkers(client)).toEqual([]);
    for (const path of ["healthz", "readyz", "metrics"]) expect((await fetch(`http://${httpAddress}/${path}`)).status).toBe(200);
    expect(await askRaw(grpcAddress, "/grpc.health.v1.Health/Check", Buffer.alloc(0))).toEqual(Buffer.from([8, 1]));
    const listServices = Buffer.from([0x3a, 0]);
    const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    expect((await askRaw(grpcAddress, reflection, listServices)).toString("latin1")).toContain("vapfarm.v1.FarmService");
    const clip = await readFile(await makeClip(join(folder, "clip.mp4")));
    expect(await upload(client, clip)).toMatchObject({ kind: "video", width: 64, height: 48, frames: 32 });
    await expect(upload(client, clip.subarray(0, 3_000))).rejects.toMatchObject({ details: { grpcStatus: "INVALID_ARGUMENT" } });
    client.close();
    child.process.disconnect();
    expect(await child.ended).toBe(0);
  });

  it("does not start on a database without its schema, and says what to do", async () => {
    const child = start(settings(await postgres.createEmptyDatabase()));
    expect(await child.ended).toBe(1);
    expect(child.log()).toMatch(/DATABASE_SCHEMA_OLD.*vapfarm migrate/);
    expect(child.log()).not.toContain(new URL(await postgres.createEmptyDatabase()).password || "no password");
  });

  it("names every wrong setting", async () => {
    const child = start({ VAPFARM_POOLS: "none" });
    expect(await child.ended).toBe(1);
    for (const name of ["DATABASE_URL", "NATS_URL", "VAPFARM_POOLS", "VAPFARM_MODELS"]) expect(child.log()).toContain(name);
  });
});
