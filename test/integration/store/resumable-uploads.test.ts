import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { BeginUpload, Store, UploadView } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, plannedRender, job, sha256, submit, task, type World } from "../../support/store-world.ts";

const world = useWorld({ retention: { keepIntermediatesMs: 0, longestUploadMs: 0 }, leaseMs: 0 });
const dayMs = 86_400_000;

const begin = (store: Store, overrides: Partial<BeginUpload> = {}) =>
  store.beginUpload({
    uploadId: randomUUID(),
    tenant: "local",
    fileName: "clip.mp4",
    sizeBytes: 30,
    sha256: undefined,
    lifetimeMs: dayMs,
    ...overrides,
  });

const part = (offsetBytes: number, sizeBytes = 10, text = "part") => ({ offsetBytes, sizeBytes, sha256: sha256(`${text} ${offsetBytes}`) });

const media = (text: string, overrides: Partial<UploadView> = {}): UploadView => ({
  tenant: "local",
  sha256: sha256(text),
  sizeBytes: 30,
  mediaType: "video/mp4",
  kind: "video",
  width: 64,
  height: 48,
  frames: 17,
  ...overrides,
});

async function collected({ store }: World): Promise<readonly string[]> {
  const held = await store.holdDuty("collection", "test", 60_000);
  await store.condemnArtifacts(held?.epoch ?? 0);
  const removed: string[] = [];
  for (const hash of await store.condemnArtifacts(held?.epoch ?? 0)) {
    await store.collectArtifact(hash, () => Promise.resolve(void removed.push(hash)));
  }
  return removed.sort();
}

async function prune({ store }: World): Promise<void> {
  const held = await store.holdDuty("prune", "test", 60_000);
  while ((await store.prune(held?.epoch ?? 0)) > 0);
}

test("parts are appended one after the other, each renews the expiry, and they are listed in order", async () => {
  const { store, sql } = world();
  const { uploadId, ...begun } = await begin(store);
  expect(begun).toMatchObject({ fileName: "clip.mp4", sizeBytes: 30, receivedBytes: 0, sha256: undefined, finished: undefined });
  await sql("update resumable_upload set expires_at = now() + interval '1 minute'");
  expect(await store.appendUploadPart("local", uploadId, part(0))).toEqual({ kind: "appended", receivedBytes: 10 });
  expect(await store.appendUploadPart("local", uploadId, part(10, 20))).toEqual({ kind: "appended", receivedBytes: 30 });
  expect(await store.listUploadParts(uploadId)).toEqual([part(0), part(10, 20)]);
  const now = await store.getUpload("local", uploadId);
  expect(now?.receivedBytes).toBe(30);
  expect(Number(now?.expiresAt) - Number(begun.expiresAt)).toBeGreaterThanOrEqual(0);
});

test("of streams that race at one offset one wins, and the others learn where the upload ends", async () => {
  const { store, openAnother } = world();
  const stores = [store, await openAnother()];
  const { uploadId } = await begin(store);
  const racing = Array.from({ length: 8 }, (_unused, index) =>
    (stores[index % 2] as Store).appendUploadPart("local", uploadId, part(0, 10 + index, `racer ${index}`)),
  );
  const outcomes = await Promise.all(racing);
  const winners = outcomes.filter((outcome) => outcome?.kind === "appended");
  expect(winners).toHaveLength(1);
  expect(new Set(outcomes.map((outcome) => outcome?.receivedBytes))).toEqual(new Set([winners[0]?.receivedBytes]));
  expect(await store.listUploadParts(uploadId)).toHaveLength(1);
});

test("another tenant's, an expired, a finished and a dropped upload take no part", async () => {
  const { store, sql } = world();
  const uploads = await Promise.all([begin(store), begin(store), begin(store), begin(store, { tenant: "other" })]);
  const [expired, finished, dropped, foreign] = uploads.map(({ uploadId }) => uploadId) as [string, string, string, string];
  await sql("update resumable_upload set expires_at = now() where id = $1", [expired]);
  await store.finishUpload(finished, media("whole"));
  await store.dropUpload("local", dropped);
  await store.dropUpload("local", foreign);
  for (const uploadId of [expired, finished, dropped, foreign, "none"]) {
    expect(await store.appendUploadPart("local", uploadId, part(0))).toBeUndefined();
  }
  expect(await store.getUpload("local", expired)).toBeUndefined();
  expect(await store.getUpload("local", dropped)).toBeUndefined();
  expect(await store.getUpload("local", foreign)).toBeUndefined();
  expect(await store.getUpload("other", foreign)).toBeDefined();
});

test("a finished upload says what it became, its parts are collected and the whole is kept", async () => {
  const { store } = world();
  const { uploadId } = await begin(store);
  await store.appendUploadPart("local", uploadId, part(0));
  await store.appendUploadPart("local", uploadId, part(10, 20));
  expect(await collected(world())).toEqual([]);
  await store.finishUpload(uploadId, media("whole"));
  await store.finishUpload(uploadId, media("whole"));
  expect(await store.getUpload("local", uploadId)).toMatchObject({ receivedBytes: 30, finished: media("whole") });
  expect(await store.listUploadParts(uploadId)).toEqual([]);
  expect(await collected(world())).toEqual([part(0).sha256, part(10).sha256].sort());
  expect(await store.findUploads("local", [sha256("whole")])).toEqual([media("whole")]);
});

test("parts of a dropped upload are collected, but not one that another upload has too", async () => {
  const { store } = world();
  const [first, second] = [await begin(store), await begin(store, { tenant: "other" })];
  await store.appendUploadPart("local", first.uploadId, part(0));
  await store.appendUploadPart("local", first.uploadId, part(10));
  await store.appendUploadPart("other", second.uploadId, part(0));
  await store.dropUpload("local", first.uploadId);
  await store.dropUpload("local", first.uploadId);
  expect(await collected(world())).toEqual([part(10).sha256]);
});

test("expired uploads are pruned with their parts, live ones stay", async () => {
  const { store, sql } = world();
  const [expired, live] = [await begin(store), await begin(store)];
  await store.appendUploadPart("local", expired.uploadId, part(0));
  await store.appendUploadPart("local", live.uploadId, part(0, 10, "live"));
  await sql("update resumable_upload set expires_at = now() where id = $1", [expired.uploadId]);
  await prune(world());
  expect(await sql("select id from resumable_upload")).toEqual([{ id: live.uploadId }]);
  expect(await collected(world())).toEqual([part(0).sha256]);
});

test("a tenant begins at most a hundred uploads that are open, also at once; others and finished ones do not count", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  await sql("insert into tenant (id) values ('local')");
  await sql(`insert into resumable_upload (id, tenant_id, file_name, size_bytes, lifetime_ms, expires_at)
    select 'old ' || i, 'local', '', 1, 1, now() + interval '1 hour' from generate_series(1, 97) i`);
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_unused, index) => begin(index % 2 === 0 ? store : another)));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  expect(outcomes.find((outcome) => outcome.status === "rejected")?.reason).toMatchObject({ code: "UPLOADS_TOO_MANY" });
  await expect(begin(store, { tenant: "other" })).resolves.toBeDefined();
  await store.finishUpload("old 1", media("one"));
  await sql("update resumable_upload set expires_at = now() where id = 'old 2'");
  await begin(store);
  await begin(store);
  await expect(begin(store)).rejects.toMatchObject({ code: "UPLOADS_TOO_MANY" });
});

test("inputs of a render are there in any state, by position; results once that render succeeded", async () => {
  const { store } = world();
  await store.commitUpload(media("image", { kind: "image", mediaType: "image/png", frames: 1 }));
  await store.commitUpload(media("clip"));
  const tasks = (name: string) => [task(name, { artifacts: ["mp4"], domain: name })];
  const renders = [plannedRender(tasks("first"), { image: { sha256: sha256("gone") } }), plannedRender(tasks("second"))];
  const submitted = await store.submitJob(job([], { renders }));
  if (submitted.kind !== "stored") throw new TypeError(submitted.kind);
  const { jobId } = submitted.job;
  const of = (position: number, name: string, scope: string | undefined = "local") =>
    store.artifactOfRender(scope, { jobId, position, name });
  expect(await of(1, "input_image")).toEqual({ name: "input_image", sha256: sha256("image"), sizeBytes: 30, mediaType: "image/png" });
  expect(await of(0, "input_image")).toBeUndefined();
  expect(await of(0, "input_reference_1")).toMatchObject({ sha256: sha256("clip"), mediaType: "video/mp4" });
  for (const name of ["input_reference_2", "input_reference_0", "input_reference_01", "input_", "mp4"]) {
    expect(await of(1, name)).toBeUndefined();
  }
  expect(await of(2, "input_image")).toBeUndefined();
  expect(await of(1, "input_image", "other")).toBeUndefined();
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await of(0, "mp4")).toMatchObject({ name: "mp4", mediaType: "text/plain" });
  expect(await of(0, "out")).toBeUndefined();
  expect(await of(1, "mp4")).toBeUndefined();
  expect(await store.artifactOfRender(undefined, { jobId, position: 0, name: "mp4" })).toBeDefined();
  expect(await collected(world())).not.toContain((await of(0, "mp4"))?.sha256);
});

test("a render's input is the uploader's own: the same bytes of another tenant do not count", async () => {
  const { store } = world();
  await store.commitUpload(media("image", { tenant: "other" }));
  const jobId = await submit(store, [task("only")]);
  expect(await store.artifactOfRender(undefined, { jobId, position: 0, name: "input_image" })).toBeUndefined();
});
