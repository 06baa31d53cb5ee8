/**
 * Media by address through the whole coordinator: real Postgres, gRPC and HTTPS on loopback, names and certificates played.
 */
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type FarmServiceClient,
  ListRendersRequest,
  MediaReference,
  SubmitRendersRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { Pool } from "../../../services/platform/database/pool.ts";
import { openPrintPool, printDatabase } from "../../support/bad-input/database-print.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import {
  call,
  download,
  getJob,
  type Media,
  present,
  refusalOf,
  renderRequest,
  sha256Of,
  submit,
  uploadMedia,
} from "../../support/farm-calls.ts";
import { loopbackNetwork, type OutsideServer, startOutside } from "../../support/tls-server.ts";

const image = Buffer.concat([Buffer.from("IMAGE from outside "), Buffer.alloc(50_000, 9)]);
const clip = Buffer.from("CLIP 40 from outside");
const maxBytes = 100_000;

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "/media/image": (response) => response.end(image),
  "/media/clip": (response) => response.end(clip),
  "/media/moved": (response) => response.writeHead(302, { location: "image" }).end(),
  "/media/inside": (response) => response.writeHead(302, { location: "https://169.254.169.254/latest/meta-data/" }).end(),
  "/media/secret": (response) => response.writeHead(302, { location: "/secret" }).end(),
  "/media/page": (response) => response.end("<html>no media</html>"),
  "/media/empty": (response) => response.end(),
  "/media/large": (response) => response.end(Buffer.alloc(maxBytes + 1, "IMAGE")),
  "/media/broken": (response) => response.writeHead(200, { "content-length": "10" }).write("IMAGE", () => response.destroy()),
  "/secret": (response) => response.end(image),
};

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let outside: OutsideServer;
let media: Media;
let pool: Pool;

beforeAll(async () => {
  outside = await startOutside((request, response) => (answers[request.url ?? ""] ?? ((none) => none.writeHead(404).end()))(response));
  farm = await startCoordinatorFarm();
  const sources = [
    { prefix: `https://media.test:${outside.port}/media/`, privateAddresses: true },
    { prefix: `https://public.test:${outside.port}/media/` },
  ];
  const environment = { VAPFARM_MEDIA_SOURCES: JSON.stringify(sources), VAPFARM_MEDIA_MAX_BYTES: String(maxBytes) };
  running = await farm.start({ environment, network: loopbackNetwork() });
  ({ client } = running);
  media = await uploadMedia(client);
  pool = openPrintPool(farm.databaseUrl);
});
afterAll(async () => {
  await pool.end();
  await farm.stop();
  await outside.stop();
});

const at = (name: string): string => `https://media.test:${outside.port}/media/${name}`;
const by = (uri: string): MediaReference => MediaReference.create({ uri });
const byAddress = (name = "image") => renderRequest(media, { image: by(at(name)), references: [by(at("clip"))] });

/** The paths that were asked for meanwhile. */
async function askedDuring<T>(work: () => Promise<T>): Promise<readonly [T, readonly string[]]> {
  const before = outside.paths.length;
  const done = await work();
  return [done, outside.paths.slice(before).toSorted()];
}

describe("media by address", () => {
  it("is fetched once, and the job says what it was and where it came from", async () => {
    const request = { ...byAddress(), idempotencyKey: "by address" };
    const [{ jobId }, asked] = await askedDuring(() => submit(client, request));
    expect(asked).toEqual(["/media/clip", "/media/image"]);
    const { render: spec } = await getJob(client, jobId);
    expect(spec?.image).toEqual({ sha256: sha256Of(image), uri: at("image"), inline: Buffer.alloc(0) });
    expect(spec?.references).toEqual([{ sha256: sha256Of(clip), uri: at("clip"), inline: Buffer.alloc(0) }]);
    expect((await download(client, jobId, "input_image")).bytes).toEqual(image);
    expect(await filesUnder(running.uploadsFolder)).toEqual([]);
    const [again, askedAgain] = await askedDuring(() => submit(client, request));
    expect([again.jobId, askedAgain]).toEqual([jobId, []]);
  });

  it("is fetched once for all renders of a batch, redirects followed", async () => {
    const renders = [1n, 2n, 3n].map((seed) => ({ ...present(byAddress("moved").render), seed }));
    const [{ job }, asked] = await askedDuring(() => call(client.submitRenders.bind(client), SubmitRendersRequest.create({ renders })));
    expect(asked).toEqual(["/media/clip", "/media/image", "/media/moved"]);
    const { jobId } = present(job);
    const listed = await call(client.listRenders.bind(client), ListRendersRequest.create({ jobId }));
    expect(listed.renders.map(({ spec }) => [spec?.image?.sha256, spec?.image?.uri])).toEqual(
      renders.map(() => [sha256Of(image), at("moved")]),
    );
  });

  it("is not fetched while something else is wrong with the job", async () => {
    const [refused, asked] = await askedDuring(() => refusalOf(submit(client, { ...byAddress(), priority: 101 })));
    expect([refused.code, asked]).toEqual(["FIELD_INVALID", []]);
  });

  it.each([
    ["of a host that is not on the list", "elsewhere.test/media/image", "ADDRESS_REFUSED", []],
    ["beside the allowed path", "media.test/media/../secret", "ADDRESS_REFUSED", []],
    ["that resolves to this machine", "public.test/media/image", "ADDRESS_REFUSED", []],
    ["that redirects off the list", "media.test/media/secret", "ADDRESS_REFUSED", ["/media/secret"]],
    ["that redirects to a metadata service", "media.test/media/inside", "ADDRESS_REFUSED", ["/media/inside"]],
    ["of nothing", "media.test/media/missing", "FETCH_FAILED", ["/media/missing"]],
    ["of a body that breaks off", "media.test/media/broken", "FETCH_FAILED", ["/media/broken"]],
    ["of no media", "media.test/media/page", "MEDIA_NOT_DECODABLE", ["/media/page"]],
    ["of no bytes", "media.test/media/empty", "MEDIA_EMPTY", ["/media/empty"]],
    ["of too many bytes", "media.test/media/large", "MEDIA_TOO_LARGE", ["/media/large"]],
  ] as const)("%s is refused by its field and stores nothing", async (...[, place, code, paths]) => {
    const print = async (): Promise<readonly unknown[]> => [
      await printDatabase(pool),
      await filesUnder(farm.artifactsFolder),
      await filesUnder(running.uploadsFolder),
    ];
    const before = await print();
    const request = renderRequest(media, { image: by(`https://${place.replace("/", `:${outside.port}/`)}`) });
    const [refused, asked] = await askedDuring(() => refusalOf(submit(client, request)));
    expect([refused.code, refused.details.fields?.map(({ field }) => field)]).toEqual([code, ["render.image"]]);
    expect(asked).toEqual(paths);
    expect(await print()).toEqual(before);
  });
});
