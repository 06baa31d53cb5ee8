import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chunksOf } from "../../../services/domain/model-version.ts";
import { type FarmServiceClient, GetRenderRequest, ManifestHeader, type RenderSpec } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { ListModelsRequest } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import {
  BeginModelPushRequest,
  GetModelVersionRequest,
  ListModelAliasesRequest,
  ListModelVersionsRequest,
  type ModelVersion,
  RemoveModelVersionsRequest,
  type RemoveModelVersionsResponse,
  SetModelAliasRequest,
} from "../../../services/gen/proto/vapfarm/v1/models.ts";
import { readFolder } from "../../../services/cli/models/read-folder.ts";
import { openPool, type Pool, runStatement } from "../../../services/platform/database/pool.ts";
import { callClientStream } from "../../../services/platform/grpc/client.ts";
import type { ChangedModel } from "../../support/changed-model.ts";
import { playCli } from "../../support/cli-context.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, type Media, present, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { demoFolder, demoWithReferences } from "../../support/pushed-models.ts";
import { until } from "../../support/until.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let media: Media;
let pool: Pool;
let second: ChangedModel;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start({ environment: { VAPFARM_OPEN_RENDERS: "2" } });
  ({ client } = running);
  media = await uploadMedia(client);
  pool = openPool({ url: farm.databaseUrl, applicationName: "test", connections: 2 });
  second = await demoWithReferences(2);
});
afterAll(async () => {
  await pool.end();
  await second.remove();
  await farm.stop();
});

/** Pushes with the CLI; what it says as JSON. */
async function push(folder: string, ...more: readonly string[]) {
  const cli = playCli({ VAPFARM_ADDRESS: running.coordinator.grpcAddress() });
  const code = await cli.run("models", "push", folder, ...more, "--json");
  expect([code, cli.stderr()]).toEqual([0, ""]);
  return JSON.parse(cli.stdout()) as { version: { name: string; version: string; aliases: string[] }; sentBytes: number; sentChunks: number };
}

const versions = async (name = ""): Promise<readonly ModelVersion[]> =>
  (await call(client.listModelVersions.bind(client), ListModelVersionsRequest.create({ name }))).versions;
const setAlias = (name: string, alias: string, version: string) =>
  call(client.setModelAlias.bind(client), SetModelAliasRequest.create({ name, alias, version }));
const remove = (name: string, dryRun = false): Promise<RemoveModelVersionsResponse> =>
  call(client.removeModelVersions.bind(client), RemoveModelVersionsRequest.create({ name, dryRun }));
const cancel = (jobId: string) => call(client.cancelJob.bind(client), { jobId });
const modelOf = async (jobId: string, position = 0): Promise<string> =>
  present((await call(client.getRender.bind(client), GetRenderRequest.create({ jobId, position }))).render).spec?.model ?? "";

async function isKept(sha256: string): Promise<boolean> {
  const statement = { name: "test_is_needed", text: "select vf_is_needed($1, '{\"longestUploadMs\": 0, \"keepIntermediatesMs\": 0}') as kept" };
  const [row] = await runStatement<{ readonly kept: boolean }>(pool, statement, [sha256]);
  return row?.kept === true;
}

describe("a pushed version", () => {
  it("is the same whoever pushes it, and what the farm has is not sent again", async () => {
    const first = await push(demoFolder, "--name", "twice");
    expect([first.sentChunks > 5, first.version.version.length]).toEqual([true, 12]);
    const again = await push(demoFolder, "--name", "twice", "--alias", "prod");
    expect([again.version.version, again.sentBytes, again.version.aliases]).toEqual([first.version.version, 0, ["prod"]]);
    const [version, ...others] = await versions("twice");
    expect([version?.ready, version?.aliases, version?.pool, others]).toEqual([true, ["prod"], "test", []]);
  });

  it("is named by an alias, a version, or bare where no plain folder has the name, and a job keeps the version", async () => {
    const { version } = (await push(demoFolder, "--name", "named", "--alias", "prod")).version;
    for (const model of ["named", "named@prod", `named:${version}`]) {
      const { jobId } = await submit(client, renderRequest(media, { model }));
      expect(await modelOf(jobId)).toBe(`named:${version}`);
      await cancel(jobId);
    }
    const refused = await refusalOf(submit(client, renderRequest(media, { model: "named@nowhere" })));
    expect([refused.code, refused.message]).toEqual(["MODEL_UNKNOWN", expect.stringContaining("named@nowhere")]);
    const { models } = await call(client.listModels.bind(client), ListModelsRequest.create());
    expect(models.find((model) => model.name === "named")).toMatchObject({ reference: `named:${version}`, aliases: ["prod"], pool: "test" });
  });

  it("leaves a plain folder's bare name as it is", async () => {
    const { version } = (await push(second.folder, "--alias", "prod")).version;
    const plain = await submit(client, renderRequest(media));
    const pinned = await submit(client, renderRequest(media, { model: "demo@prod" }));
    expect([await modelOf(plain.jobId), await modelOf(pinned.jobId)]).toEqual(["demo", `demo:${version}`]);
    await Promise.all([cancel(plain.jobId), cancel(pinned.jobId)]);
  });

  it("is known to a coordinator that starts later", async () => {
    const { version } = (await push(demoFolder, "--name", "later", "--alias", "prod")).version;
    const other = await farm.start();
    const { jobId } = await submit(other.client, renderRequest(media, { model: "later" }));
    expect(await modelOf(jobId)).toBe(`later:${version}`);
    await cancel(jobId);
    await other.stop();
  });
});

describe("an alias that moves", () => {
  it("changes what is submitted, not what was: waiting renders are planned with the version that they were pinned to", async () => {
    const old = (await push(demoFolder, "--name", "moving", "--alias", "prod")).version.version;
    const next = (await push(second.folder, "--name", "moving")).version.version;
    const spec = (prompt: string): RenderSpec => present(renderRequest(media, { model: "moving@prod", prompt }).render);
    const renders = ["a", "b", "c", "d"].map(spec);
    const messages = [
      { part: { $case: "header" as const, value: ManifestHeader.create({ idempotencyKey: "moving" }) } },
      { part: { $case: "renders" as const, value: { renders } } },
    ];
    const answer = await callClientStream(client.submitManifest.bind(client), messages, { deadlineMs: 60_000 });
    const { jobId } = present(answer.job);
    await setAlias("moving", "prod", next);
    const { jobId: newer } = await submit(client, renderRequest(media, { model: "moving" }));
    expect(await modelOf(newer)).toBe(`moving:${next}`);
    const render = async (position: number) =>
      present((await call(client.getRender.bind(client), GetRenderRequest.create({ jobId, position }))).render);
    for (const position of [0, 1]) {
      await until("a first render is expanded", async () => (await render(position)).tasks.length > 0);
      await call(client.cancelRender.bind(client), { jobId, position });
    }
    await until("the last is expanded after the move", async () => (await render(3)).tasks.length > 0);
    expect([await modelOf(jobId, 3), (await render(3)).failure?.code]).toEqual([`moving:${old}`, undefined]);
    const fates = (await remove("moving")).versions.map(({ version, keptBy }) => [version, keptBy]);
    expect(Object.fromEntries(fates)).toEqual({ [old]: "1 live jobs", [next]: "alias prod" });
    await Promise.all([cancel(jobId), cancel(newer)]);
  });

  it("is told with who moved it, can be moved back, and taken away", async () => {
    const { version } = (await push(demoFolder, "--name", "told", "--alias", "prod")).version;
    const other = (await push(second.folder, "--name", "told")).version.version;
    await setAlias("told", "prod", other);
    await setAlias("told", "prod", other);
    await setAlias("told", "prod", version);
    await setAlias("told", "prod", "");
    const { aliases, moves } = await call(client.listModelAliases.bind(client), ListModelAliasesRequest.create({ name: "told" }));
    expect(aliases).toEqual([]);
    expect(moves.map(({ fromVersion, toVersion, movedBy }) => [fromVersion, toVersion, movedBy])).toEqual([
      [version, "", "local"],
      [other, version, "local"],
      [version, other, "local"],
      ["", version, "local"],
    ]);
    expect((await refusalOf(setAlias("told", "prod", "0123456789ab"))).code).toBe("MODEL_VERSION_UNKNOWN");
    expect((await refusalOf(setAlias("told", "no alias", version))).code).toBe("FIELD_INVALID");
  });
});

describe("removing versions", () => {
  it("keeps what a live job names, then removes it and lets its chunks go; what has ended can only be submitted anew", async () => {
    const { version } = (await push(second.folder, "--name", "going")).version;
    const { files } = await call(client.getModelVersion.bind(client), GetModelVersionRequest.create({ reference: `going:${version}` }));
    const chunk = present(files.find(({ path }) => path === "farm.json")?.chunks[0]);
    const { jobId } = await submit(client, renderRequest(media, { model: `going:${version}` }));
    expect((await remove("going")).versions).toMatchObject([{ version, keptBy: "1 live jobs" }]);
    await cancel(jobId);
    expect((await remove("going", true)).versions).toMatchObject([{ version, keptBy: "" }]);
    expect([(await versions("going")).length, await isKept(chunk)]).toEqual([1, true]);
    expect((await remove("going")).versions).toMatchObject([{ version, keptBy: "" }]);
    expect([(await versions("going")).length, await isKept(chunk)]).toEqual([0, false]);
    expect((await refusalOf(submit(client, renderRequest(media, { model: `going:${version}` })))).code).toBe("MODEL_UNKNOWN");
    expect((await refusalOf(call(client.retryJob.bind(client), { jobId }))).code).toBe("MODEL_VERSION_GONE");
  });

  it("keeps what was touched not long ago, and chunks that another version has", async () => {
    const first = await push(demoFolder, "--name", "shared-a");
    const other = await push(demoFolder, "--name", "shared-b");
    const request = RemoveModelVersionsRequest.create({ name: "shared-a", keepSeconds: 3_600n });
    const kept = await call(client.removeModelVersions.bind(client), request);
    expect(kept.versions.map(({ keptBy }) => keptBy)).toEqual(["age"]);
    await remove("shared-a");
    const { files } = await call(
      client.getModelVersion.bind(client),
      GetModelVersionRequest.create({ reference: `shared-b:${other.version.version}` }),
    );
    expect(first.version.version).not.toBe(other.version.version);
    for (const { path, chunks } of files) {
      if (path === "farm.json") continue;
      for (const chunk of chunks) expect(await isKept(chunk)).toBe(true);
    }
  });
});

describe("a push", () => {
  const begun = async (name: string) => {
    const folder = await readFolder(demoFolder, { name, signal: new AbortController().signal, onProgress: () => undefined });
    const files = folder.files.map(({ path, bytes, sha256, chunks }) => ({ path, sizeBytes: BigInt(bytes), sha256, chunks: [...chunks] }));
    const begin = (change: Partial<BeginModelPushRequest> = {}) =>
      call(client.beginModelPush.bind(client), BeginModelPushRequest.create({ files, farmJson: folder.farmJson, ...change }));
    return { folder, files, begin };
  };
  const send = (named: { name: string; version: string; sha256: string }, bytes: Buffer) =>
    callClientStream(
      client.uploadModelChunk.bind(client),
      [
        { part: { $case: "header" as const, value: named } },
        { part: { $case: "chunk" as const, value: bytes } },
      ],
      { deadlineMs: 10_000 },
    );

  it("cannot be named before it is whole", async () => {
    const { begin } = await begun("half");
    const { version, missingChunks } = await begin();
    const { name = "", version: id = "" } = version ?? {};
    expect([missingChunks.length > 0, version?.ready]).toEqual([true, false]);
    expect((await refusalOf(call(client.finishModelPush.bind(client), { name, version: id }))).code).toBe("MODEL_PUSH_INCOMPLETE");
    expect((await refusalOf(setAlias(name, "prod", id))).code).toBe("MODEL_VERSION_UNKNOWN");
    expect((await refusalOf(submit(client, renderRequest(media, { model: `${name}:${id}` })))).code).toBe("MODEL_UNKNOWN");
    expect(await isKept(present(missingChunks[0]))).toBe(true);
  });

  it("refuses chunks of other bytes, of other versions, and files that are not those of farm.json", async () => {
    const { begin, files, folder } = await begun("refused");
    const { version, missingChunks } = await begin();
    const { name = "", version: id = "" } = version ?? {};
    const chunk = present(missingChunks[0]);
    expect((await refusalOf(send({ name, version: id, sha256: chunk }, Buffer.from("other")))).code).toBe("UPLOAD_CHECKSUM_MISMATCH");
    expect((await refusalOf(send({ name, version: id, sha256: "0".repeat(64) }, Buffer.from("other")))).code).toBe("MODEL_VERSION_UNKNOWN");
    const wrong = async (change: Partial<BeginModelPushRequest>) => (await refusalOf(begin(change))).code;
    expect(await wrong({ farmJson: `${folder.farmJson} ` })).toBe("MODEL_INVALID");
    expect(await wrong({ files: files.filter(({ path }) => path !== "denoise/1/model.onnx") })).toBe("MODEL_INVALID");
    expect(await wrong({ files: files.map((file) => ({ ...file, path: `../${file.path}` })) })).toBe("FIELD_INVALID");
    expect(await wrong({ files: [] })).toBe("FIELD_INVALID");
  });

  it("sends again what the artifact store lost", async () => {
    const { folder } = await begun("lost");
    await push(demoFolder, "--name", "lost");
    const chunk = present(folder.files.find(({ path }) => path === "farm.json"));
    const [{ sha256 } = { sha256: "" }] = chunksOf(chunk);
    await farm.artifacts.delete(sha256);
    expect(await push(demoFolder, "--name", "lost")).toMatchObject({ sentChunks: 1 });
    expect((await farm.artifacts.stat(sha256))?.sizeBytes).toBe(chunk.bytes);
  });
});

describe("the commands of versions", () => {
  it("list, move, tell and remove", async () => {
    const { version } = (await push(demoFolder, "--name", "listed")).version;
    const run = async (...args: readonly string[]) => {
      const cli = playCli({ VAPFARM_ADDRESS: running.coordinator.grpcAddress() });
      expect(await cli.run("models", ...args)).toBe(0);
      return cli.stdout();
    };
    expect(await run("alias", "listed@prod", version)).toBe(`listed@prod is ${version} now\n`);
    expect(await run("versions", "listed")).toContain(`listed:${version}`);
    expect(await run("alias", "listed", "--history")).toContain(version);
    expect(await run("gc", "listed", "--keep", "0s")).toContain("stays: alias prod");
    expect(await run("alias", "listed@prod", "--delete")).toContain("taken away");
    expect(await run("gc", "listed", "--keep", "0s", "--dry-run")).toContain("would go");
    expect(await run("gc", "listed", "--keep", "0s")).toContain("removed");
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-none-"));
    const cli = playCli({ VAPFARM_ADDRESS: running.coordinator.grpcAddress() });
    expect(await cli.run("models", "push", folder)).toBe(1);
    expect(cli.stderr()).toContain("farm.json cannot be read");
    await rm(folder, { recursive: true });
  });
});
