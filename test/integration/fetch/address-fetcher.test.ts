import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAddressFetcher, type FetcherOptions } from "../../../services/platform/fetch/address-fetcher.ts";
import { allowedAddresses } from "../../../services/platform/fetch/address-list.ts";
import { createS3Reader } from "../../../services/platform/fetch/s3-reader.ts";
import { loopbackNetwork, type OutsideServer, startOutside } from "../../support/tls-server.ts";

const bytes = Buffer.alloc(300_000, "media");
let folder: string;
let server: OutsideServer;

const redirect = (response: ServerResponse, location: string): void => void response.writeHead(302, { location }).end();

/** What the outside answers under /media/. */
const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "/media/a.mp4": (response) => response.end(bytes),
  "/media/announced": (response) => response.writeHead(200, { "content-length": "900000" }).write("x"),
  "/media/endless": (response) => {
    const write = (): void => {
      while (!response.destroyed && response.write(bytes));
      response.once("drain", write);
    };
    write();
  },
  "/media/silent": () => undefined,
  "/media/stalled": (response) => response.write("x"),
  "/media/broken": (response) => response.writeHead(200, { "content-length": "10" }).write("x", () => response.destroy()),
  "/media/missing": (response) => response.writeHead(404).end("no"),
  "/media/moved": (response) => redirect(response, "deeper/../a.mp4"),
  "/media/away": (response) => redirect(response, `https://media.test:${server.port}/secret`),
  "/media/inside": (response) => redirect(response, "https://169.254.169.254/latest/meta-data/"),
  "/media/rebound": (response) => redirect(response, `https://public.test:${server.port}/media/a.mp4`),
  "/media/plain": (response) => redirect(response, `http://media.test:${server.port}/media/a.mp4`),
  "/media/file": (response) => redirect(response, "file:///etc/passwd"),
  "/media/loop": (response) => redirect(response, "loop"),
  "/media/5": (response) => redirect(response, "4"),
  "/media/4": (response) => redirect(response, "3"),
  "/media/3": (response) => redirect(response, "2"),
  "/media/2": (response) => redirect(response, "1"),
  "/media/1": (response) => redirect(response, "a.mp4"),
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-fetch-"));
  server = await startOutside((request, response) => {
    const answer = answers[request.url ?? ""];
    if (answer === undefined) response.end("not to be read");
    else answer(response);
  });
});
afterEach(async () => {
  await rm(join(folder, "file"), { force: true });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function fetchMedia(address: string, options: Partial<FetcherOptions> = {}, signal = new AbortController().signal): Promise<void> {
  const network = options.network ?? loopbackNetwork();
  const fetcher = createAddressFetcher({
    allowed: allowedAddresses(["https:", "s3:"]).parse([
      { prefix: `https://media.test:${server.port}/media/`, privateAddresses: true },
      { prefix: `https://public.test:${server.port}/media/` },
      { prefix: "https://169.254.169.254/latest/" },
    ]),
    network,
    s3: createS3Reader({ endpoint: undefined, region: undefined, network }),
    timeoutMs: 10_000,
    idleMs: 10_000,
    ...options,
  });
  return fetcher.fetchTo({ address, path: join(folder, "file"), maxBytes: 500_000 }, signal);
}

const at = (name: string): string => `https://media.test:${server.port}/media/${name}`;

describe("fetching from an address", () => {
  it("writes what the address answers", async () => {
    await fetchMedia(at("a.mp4"));
    expect(await readFile(join(folder, "file"))).toEqual(bytes);
  });

  it.each(["moved", "5"])("follows redirects that stay on the list (%s)", async (name) => {
    await fetchMedia(at(name));
    expect(await readFile(join(folder, "file"))).toEqual(bytes);
  });

  it.each([
    ["a body that is announced too large", "announced", "MEDIA_TOO_LARGE", /500000/],
    ["a body that never ends", "endless", "MEDIA_TOO_LARGE", /500000/],
    ["a body that breaks off", "broken", "FETCH_FAILED", /./],
    ["a status that is no success", "missing", "FETCH_FAILED", /404/],
    ["redirects without end", "loop", "FETCH_FAILED", /more than 5 times/],
    ["a redirect off the list", "away", "ADDRESS_REFUSED", /redirects to what/],
    ["a redirect to a metadata service", "inside", "ADDRESS_REFUSED", /linkLocal/],
    ["a redirect to a name that leads inside", "rebound", "ADDRESS_REFUSED", /loopback/],
    ["a redirect to plain http", "plain", "ADDRESS_REFUSED", /redirects to what/],
    ["a redirect to a file", "file", "ADDRESS_REFUSED", /redirects to what/],
  ] as const)("refuses %s and leaves no file", async (...[, name, code, message]) => {
    await expect(fetchMedia(at(name))).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(await readdir(folder)).toEqual([]);
    expect(server.paths).not.toContain("/secret");
  });

  it("gives up on a server that says nothing", async () => {
    const error = { code: "FETCH_FAILED", message: "took longer than 100 ms" };
    await expect(fetchMedia(at("silent"), { timeoutMs: 100 })).rejects.toMatchObject(error);
    await expect(fetchMedia(at("endless"), { timeoutMs: 0 })).rejects.toMatchObject({ code: "FETCH_FAILED" });
  });

  it("gives up on a body that stalls", async () => {
    const error = { code: "FETCH_FAILED", message: expect.stringContaining("next bytes") as string };
    await expect(fetchMedia(at("stalled"), { idleMs: 100 })).rejects.toMatchObject(error);
    expect(await readdir(folder)).toEqual([]);
  });

  it("stops when its caller goes", async () => {
    const caller = new AbortController();
    const fetched = fetchMedia(at("stalled"), {}, caller.signal);
    await expect.poll(() => readdir(folder)).toHaveLength(1);
    caller.abort();
    await expect(fetched).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([["127.0.0.1"], ["::1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::a9fe:a9fe"]])(
    "does not connect to a name that resolves to %s",
    async (...addresses) => {
      const before = server.paths.length;
      const network = loopbackNetwork({ "public.test": addresses });
      const fetched = fetchMedia(`https://public.test:${server.port}/media/a.mp4`, { network });
      await expect(fetched).rejects.toMatchObject({ code: "ADDRESS_REFUSED" });
      expect(server.paths.length).toBe(before);
    },
  );

  it("connects to the very address that was checked: a name is looked up once for each hop", async () => {
    const network = loopbackNetwork();
    await fetchMedia(at("moved"), { network });
    expect(network.asked).toEqual(["media.test", "media.test"]);
  });

  it("does not trust a certificate of nobody", async () => {
    const network = { resolve: loopbackNetwork().resolve };
    await expect(fetchMedia(at("a.mp4"), { network })).rejects.toMatchObject({ code: "FETCH_FAILED" });
  });
});
