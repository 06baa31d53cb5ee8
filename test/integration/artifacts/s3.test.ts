/**
 * What the S3 backend does beside the port's contract, on moto: layout, opening, presigned addresses, secrets.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toFarmError } from "../../../services/domain/errors.ts";
import { openS3Store } from "../../../services/platform/artifacts/s3/s3-store.ts";
import { type S3Settings, usualTimings } from "../../../services/platform/artifacts/s3/s3-client.ts";
import { openOnMoto, useMotoCredentials } from "../../support/artifact-stores.ts";
import { sha256Of } from "../../support/farm-calls.ts";
import { type Moto, motoCredentials, startMoto } from "../../support/moto.ts";
import { type S3Proxy, startS3Proxy } from "../../support/fault/s3-proxy.ts";

const bytes = Buffer.alloc(100_000, "an artifact");
const sha256 = sha256Of(bytes);
let moto: Moto;
let proxy: S3Proxy;
let folder: string;
let path: string;
let settings: S3Settings;

beforeAll(async () => {
  useMotoCredentials();
  folder = await mkdtemp(join(tmpdir(), "vapfarm-s3-"));
  path = join(folder, "bytes");
  await writeFile(path, bytes);
  moto = await startMoto();
  proxy = await startS3Proxy(moto.port);
  settings = { endpoint: proxy.endpoint, region: undefined, pathStyle: true };
  await moto.createBucket("farm");
});
afterAll(async () => {
  await proxy.stop();
  await moto.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("artifacts on S3", () => {
  it("lie below the prefix as a folder store lays them out", async () => {
    const store = await openS3Store({ bucket: "farm", prefix: "some/prefix/" }, settings);
    await store.put(sha256, path);
    expect(await moto.keys("farm")).toEqual([`some/prefix/${sha256.slice(0, 2)}/${sha256}`]);
    await store.close();
  });

  it("need a bucket that is there and may be used, and say in words what is wrong", async () => {
    const opening = (bucket: string) => openS3Store({ bucket, prefix: "" }, settings, { ...usualTimings, answerMs: 3_000, tries: 2 });
    await expect(opening("absent")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: 'VAPFARM_ARTIFACTS: the bucket "absent" is not there; make it, the farm does not',
    });
    proxy.plan(() => ({ kind: "status", status: 403, code: "AccessDenied" }));
    await expect(opening("farm")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("s3:ListBucket") as string,
    });
    proxy.plan(() => ({ kind: "status", status: 301, code: "PermanentRedirect" }));
    await expect(opening("farm")).rejects.toMatchObject({ message: expect.stringContaining("another region") as string });
    proxy.plan(() => ({ kind: "status", status: 503, code: "SlowDown" }));
    await expect(opening("farm")).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    proxy.plan(() => undefined);
  });

  it("give presigned addresses that anyone can GET, whole and by range, as the file that they are", async () => {
    const store = await openS3Store({ bucket: "farm", prefix: "" }, { ...settings, presign: { endpoint: moto.endpoint } });
    await store.put(sha256, path);
    const link = { expiresMs: 60_000, fileName: "job-0-mp4.mp4", mediaType: "video/mp4", isShown: true };
    const address = (await store.presignedGet?.(sha256, link)) ?? "";
    expect(address.startsWith(`${moto.endpoint}/farm/${sha256.slice(0, 2)}/${sha256}?`)).toBe(true);
    expect(new URL(address).searchParams.get("X-Amz-Expires")).toBe("60");
    const whole = await fetch(address);
    expect(sha256Of(Buffer.from(await whole.arrayBuffer()))).toBe(sha256);
    expect([whole.headers.get("content-type"), whole.headers.get("content-disposition")]).toEqual([
      "video/mp4",
      'inline; filename="job-0-mp4.mp4"',
    ]);
    const part = await fetch(address, { headers: { range: "bytes=10-19" } });
    expect([part.status, Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(10, 20))]).toEqual([206, true]);
    await store.close();
  });

  it("give none unless the operator wants them", async () => {
    const store = await openOnMoto(moto);
    expect(store.presignedGet).toBeUndefined();
    await store.close();
  });

  it("keep the secret key out of what is thrown and logged", async () => {
    const store = await openS3Store({ bucket: "farm", prefix: "" }, settings, { ...usualTimings, tries: 1 });
    proxy.plan(() => ({ kind: "status", status: 403, code: "SignatureDoesNotMatch" }));
    const failure = toFarmError(await store.put(sha256, path).catch((thrown: unknown) => thrown));
    proxy.plan(() => undefined);
    expect(failure).toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE", message: "a put: S3 answered SignatureDoesNotMatch (403)" });
    const said: string[] = [];
    for (let error: unknown = failure; error instanceof Error; error = error.cause) {
      said.push(error.message, error.stack ?? "", JSON.stringify(error));
    }
    expect(said.join("\n")).not.toContain(motoCredentials.AWS_SECRET_ACCESS_KEY);
    await store.close();
  });
});
