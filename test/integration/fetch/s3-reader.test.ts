/**
 * The S3 reader against a stand-in HTTP server, which knows one object and looks whether a request carries a SigV4 header, not whether
 * its signature is right: that the real service takes the SDK's signatures is the SDK's business.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAddressFetcher } from "../../../services/platform/fetch/address-fetcher.ts";
import { allowedAddresses } from "../../../services/platform/fetch/address-list.ts";
import { createS3Reader } from "../../../services/platform/fetch/s3-reader.ts";
import { loopbackNetwork, type OutsideServer, startOutside } from "../../support/tls-server.ts";

const bytes = Buffer.alloc(300_000, "object");
const credentials = { accessKeyId: "AKIATEST", secretAccessKey: "secret" };
let folder: string;
let server: OutsideServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-s3-"));
  server = await startOutside(
    (request, response) => {
      const signed = /^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/eu-central-1\/s3\/aws4_request/.test(
        request.headers.authorization ?? "",
      );
      const isObject = request.url?.split("?")[0] === "/bucket/inputs/a%20b.mp4";
      if (!signed) response.writeHead(403, { "content-type": "application/xml" }).end("<Error><Code>AccessDenied</Code></Error>");
      else if (isObject) response.writeHead(200, { "content-length": String(bytes.length) }).end(bytes);
      else response.writeHead(404, { "content-type": "application/xml" }).end("<Error><Code>NoSuchKey</Code></Error>");
    },
    { tls: false },
  );
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

type Choice = { readonly maxBytes?: number; readonly isDefaultEndpoint?: boolean };

function fetchObject(address: string, { maxBytes = 500_000, isDefaultEndpoint = false }: Choice = {}): Promise<void> {
  const endpoint = isDefaultEndpoint ? undefined : `http://127.0.0.1:${server.port}`;
  const network = loopbackNetwork();
  const fetcher = createAddressFetcher({
    allowed: allowedAddresses(["https:", "s3:"]).parse([{ prefix: "s3://bucket/inputs/" }]),
    network,
    s3: createS3Reader({ endpoint, region: "eu-central-1", network, credentials }),
    timeoutMs: 10_000,
    idleMs: 10_000,
  });
  return fetcher.fetchTo({ address, path: join(folder, "file"), maxBytes }, new AbortController().signal);
}

describe("fetching from s3", () => {
  it("reads an object with a signed request", async () => {
    await fetchObject("s3://bucket/inputs/a%20b.mp4");
    expect(await readFile(join(folder, "file"))).toEqual(bytes);
  });

  it("tells of an object that is not there, without the store's own words", async () => {
    await expect(fetchObject("s3://bucket/inputs/other")).rejects.toMatchObject({ code: "FETCH_FAILED", message: "S3 answered NoSuchKey" });
  });

  it("keeps to the cap on bytes and to the list", async () => {
    await expect(fetchObject("s3://bucket/inputs/a%20b.mp4", { maxBytes: 1_000 })).rejects.toMatchObject({ code: "MEDIA_TOO_LARGE" });
    await expect(fetchObject("s3://bucket/others/a.mp4")).rejects.toMatchObject({ code: "ADDRESS_REFUSED" });
    await expect(fetchObject("s3://bucket/inputs/a.mp4?versionId=1")).rejects.toMatchObject({ code: "ADDRESS_REFUSED" });
  });

  it("holds the default endpoints to public addresses", async () => {
    const message = expect.stringContaining("loopback") as string;
    await expect(fetchObject("s3://bucket/inputs/a.mp4", { isDefaultEndpoint: true })).rejects.toMatchObject({
      code: "ADDRESS_REFUSED",
      message,
    });
  });
});
