import { Client, credentials } from "@grpc/grpc-js";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmServiceClient, UploadMediaHeader, type UploadMediaRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool } from "../../../services/platform/database/pool.ts";
import { connectClient } from "../../../services/platform/grpc/client.ts";
import { filesUnder } from "../../support/coordinator-farm.ts";
import { startCoordinatorProcess as start } from "../../support/coordinator-process.ts";
import { listWorkers, upload, uploadMessages } from "../../support/farm-calls.ts";
import { makeClip, testFfmpegPath } from "../../support/ffmpeg.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";
import { until } from "../../support/until.ts";

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

/** Who holds duties at the moment. */
async function heldDuties(url: string): Promise<ReadonlySet<string>> {
  const pool = openPool({ url, applicationName: "test", connections: 1 });
  const { rows } = await pool.query<{ holder: string }>("select holder from duty where until > clock_timestamp()");
  await pool.end();
  return new Set(rows.map(({ holder }) => holder));
}

/** An upload whose bytes come when they are let go. */
async function* slowUpload(bytes: Buffer, gate: Promise<unknown>): AsyncGenerator<UploadMediaRequest> {
  yield { part: { $case: "header", value: UploadMediaHeader.create({ fileName: "clip.mp4" }) } };
  yield { part: { $case: "chunk", value: bytes.subarray(0, 10) } };
  await gate;
  yield { part: { $case: "chunk", value: bytes.subarray(10) } };
}

const begun = (): Promise<void> =>
  until("the upload has begun", async () => (await filesUnder(join(folder, "state"))).some((name) => name.startsWith("upload-")));

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

  it("asked to stop, takes nothing new, ends what was begun, answers workers and gives its duties back", async () => {
    const databaseUrl = await postgres.createDatabase();
    const child = start(settings(databaseUrl));
    const { grpcAddress } = await child.ready;
    const holders = await heldDuties(databaseUrl);
    const client = connectClient(FarmServiceClient, grpcAddress, 4 * 1024 * 1024);
    const clip = await readFile(await makeClip(join(folder, "clip.mp4")));
    const asked = Promise.withResolvers<undefined>();
    const uploaded = uploadMessages(client, slowUpload(clip, asked.promise));
    await begun();
    child.process.kill("SIGTERM");
    await until("it stops", () => child.log().includes('"stopping"'));
    const late = connectClient(FarmServiceClient, grpcAddress, 4 * 1024 * 1024);
    await expect(listWorkers(late)).rejects.toMatchObject({ code: "COORDINATOR_UNAVAILABLE" });
    asked.resolve(undefined);
    expect(await uploaded).toMatchObject({ frames: 32 });
    expect(await child.ended).toBe(0);
    expect(holders.size).toBe(1);
    expect(await heldDuties(databaseUrl)).toEqual(new Set());
    client.close();
    late.close();
  });

  it("ends at once when it is asked a second time", async () => {
    const child = start(settings(await postgres.createDatabase()));
    const client = connectClient(FarmServiceClient, (await child.ready).grpcAddress, 4 * 1024 * 1024);
    const never = Promise.withResolvers<undefined>();
    const uploaded = uploadMessages(client, slowUpload(Buffer.alloc(10), never.promise)).catch((thrown: unknown) => thrown);
    await begun();
    child.process.kill("SIGTERM");
    await until("it stops", () => child.log().includes('"stopping"'));
    child.process.kill("SIGTERM");
    expect(await child.ended).toBe(1);
    expect(child.log()).toContain("asked again: ends at once");
    expect(await uploaded).toMatchObject({ code: "COORDINATOR_UNAVAILABLE" });
    never.resolve(undefined);
    client.close();
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
