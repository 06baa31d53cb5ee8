import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CancelJobRequest,
  type FarmServiceClient,
  FarmServiceService,
  ListJobsRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import {
  GetUsageRequest,
  HoldScope,
  ListHoldsRequest,
  ListTenantsRequest,
  PlaceHoldRequest,
  ReleaseHoldRequest,
  UpdateTenantRequest,
} from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { callUnary, type UnaryMethod } from "../../../services/platform/grpc/client.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, type Media, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";

const tokens = { reader: "r".repeat(16), member: "m".repeat(16), admin: "a".repeat(16), other: "o".repeat(16) };
const callers = [
  { token: tokens.reader, tenant: "one", role: "reader" },
  { token: tokens.member, tenant: "one", role: "member" },
  { token: tokens.admin, tenant: "ops", role: "admin" },
  { token: tokens.other, tenant: "two", role: "member" },
];
const as = (name: keyof typeof tokens) => ({ authorization: `Bearer ${tokens[name]}` });

let farm: CoordinatorFarm;
let guarded: RunningCoordinator;
let client: FarmServiceClient;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  guarded = await farm.start({ environment: { VAPFARM_CALLERS: JSON.stringify(callers) } });
  ({ client } = guarded);
});
afterAll(() => farm.stop());

/** The least role of each method; a method that is missing here fails the first test. */
const needs: Readonly<Record<string, "reader" | "member" | "admin">> = {
  SubmitRender: "member",
  SubmitRenders: "member",
  SubmitManifest: "member",
  GetJob: "reader",
  ListJobs: "reader",
  GetRender: "reader",
  ListRenders: "reader",
  ListEvents: "reader",
  WatchJob: "reader",
  CancelJob: "member",
  CancelRender: "member",
  RetryJob: "member",
  RetryRender: "member",
  ListFailures: "reader",
  RetryTask: "member",
  UpdateJob: "member",
  ExplainJob: "reader",
  PlaceHold: "member",
  ReleaseHold: "member",
  ListHolds: "reader",
  BeginUpload: "member",
  GetUpload: "member",
  UploadMedia: "member",
  DownloadArtifact: "reader",
  GetArtifactUrl: "reader",
  ListWorkers: "reader",
  GetWorker: "reader",
  CordonWorker: "admin",
  UncordonWorker: "admin",
  ClearWorker: "admin",
  DrainWorker: "admin",
  ListTenants: "reader",
  UpdateTenant: "admin",
  GetFarm: "reader",
  ListModels: "reader",
  GetModel: "reader",
  BeginModelPush: "admin",
  UploadModelChunk: "admin",
  FinishModelPush: "admin",
  ListModelVersions: "reader",
  GetModelVersion: "reader",
  DownloadModelChunk: "reader",
  SetModelAlias: "admin",
  ListModelAliases: "reader",
  RemoveModelVersions: "admin",
  GetUsage: "reader",
  SetPrice: "admin",
  ListPrices: "reader",
  SetBudget: "admin",
  ListBudgets: "reader",
  DeleteBudget: "admin",
  ImportSuite: "member",
  ListSuites: "reader",
  ListMetricModels: "reader",
  GetSuite: "reader",
  StartRun: "member",
  GetRun: "reader",
  ListRuns: "reader",
  ListRunItems: "reader",
  ImportResults: "member",
  ListResults: "reader",
  GetResults: "reader",
  ImportVotes: "member",
  GetPreference: "reader",
};
const ranks = ["reader", "member", "admin"] as const;
const methods = Object.values(FarmServiceService);

/** Calls a method with an empty message, whatever it is; the code that it ends with. */
async function codeOf(path: string, role: (typeof ranks)[number]): Promise<string> {
  const method: UnaryMethod<Uint8Array, Buffer> = (...[request, metadata, options, callback]) =>
    client.makeUnaryRequest<Uint8Array, Buffer>(
      path,
      (value) => Buffer.from(value),
      (value) => value,
      request,
      metadata,
      options,
      (error, answer) => callback(error, answer ?? Buffer.alloc(0)),
    );
  return await callUnary(method, new Uint8Array(), { deadlineMs: 20_000, headers: as(role) }).then(
    () => "OK",
    (thrown: unknown) => (thrown as { code: string }).code,
  );
}

describe("the roles of FarmService", () => {
  it("are said of every method", () => {
    expect(methods.map(({ path }) => path.split("/").at(-1)).sort()).toEqual(Object.keys(needs).sort());
  });

  it.each(methods.map(({ path }) => [path.split("/").at(-1) ?? "", path]))("keep %s from lesser ones", async (name, path) => {
    const codes = await Promise.all(ranks.map((role) => codeOf(path, role)));
    const least = ranks.indexOf(needs[name] ?? "admin");
    const refused = codes.map((code) => code === "CALLER_NOT_ALLOWED");
    expect(refused).toEqual(ranks.map((_role, index) => index < least));
    expect(codes).not.toContain("INTERNAL");
    expect(codes).not.toContain("PROTOCOL_UNSUPPORTED");
  });
});

describe("tenants", () => {
  let jobId = "";
  let media: Media;

  beforeAll(async () => {
    const open = await farm.start();
    media = await uploadMedia(open.client);
    await submit(open.client, renderRequest(media));
    const image = { sha256: "", inline: Buffer.from("IMAGE"), uri: "" };
    const references = [{ sha256: "", inline: Buffer.from("CLIP 40"), uri: "" }];
    ({ jobId } = await submit(client, renderRequest(media, { image, references }), as("member")));
  });

  const list = (who: keyof typeof tokens, tenant = "") => call(client.listJobs.bind(client), ListJobsRequest.create({ tenant }), as(who));

  it("see their own jobs, an admin everybody's, and nobody else another's", async () => {
    expect((await list("reader")).jobs.map((job) => job.jobId)).toEqual([jobId]);
    expect((await list("other")).jobs).toEqual([]);
    expect(new Set((await list("admin")).jobs.map(({ tenant }) => tenant))).toEqual(new Set(["one", "local"]));
    expect((await list("admin", "one")).jobs).toHaveLength(1);
    expect((await refusalOf(list("other", "one"))).code).toBe("CALLER_NOT_ALLOWED");
    const cancel = (who: keyof typeof tokens) => call(client.cancelJob.bind(client), CancelJobRequest.create({ jobId }), as(who));
    expect((await refusalOf(cancel("other"))).code).toBe("JOB_UNKNOWN");
    expect((await cancel("admin")).job?.tenant).toBe("one");
  });

  it("may not ask for another's usage", async () => {
    const usage = (who: keyof typeof tokens, tenant: string) =>
      call(client.getUsage.bind(client), GetUsageRequest.create({ tenant }), as(who));
    expect((await usage("admin", "one")).total?.attempts).toBe(0n);
    expect((await usage("reader", "one")).total?.attempts).toBe(0n);
    expect((await refusalOf(usage("other", "one"))).code).toBe("CALLER_NOT_ALLOWED");
  });

  it("see how they stand, an admin how all do, and only an admin grants weights and limits", async () => {
    const update = (who: keyof typeof tokens, change: Partial<UpdateTenantRequest>) =>
      call(client.updateTenant.bind(client), UpdateTenantRequest.create({ name: "one", ...change }), as(who));
    const seen = async (who: keyof typeof tokens) =>
      (await call(client.listTenants.bind(client), ListTenantsRequest.create(), as(who))).tenants;
    expect((await update("admin", { weight: 2.5, maxRunning: 3 })).tenant).toMatchObject({ name: "one", weight: 2.5, maxRunning: 3 });
    expect((await seen("reader")).map(({ name, maxRunning, maxWaiting }) => [name, maxRunning, maxWaiting])).toEqual([
      ["one", 3, undefined],
    ]);
    expect((await seen("admin")).map(({ name }) => name)).toEqual(["local", "one"]);
    expect((await update("admin", {})).tenant).toMatchObject({ weight: 1, maxRunning: undefined });
    for (const wrong of [{ name: "" }, { name: "no name" }, { weight: -1 }, { weight: NaN }, { weight: 1e9 }, { maxRunning: -1 }]) {
      expect((await refusalOf(update("admin", wrong))).code).toBe("FIELD_INVALID");
    }
  });

  it("hold themselves; farm, pools and others are an admin's to hold", async () => {
    const { HOLD_SCOPE_FARM: whole, HOLD_SCOPE_POOL: pool, HOLD_SCOPE_TENANT: tenant } = HoldScope;
    const place = (who: keyof typeof tokens, scope: HoldScope, name = "") =>
      call(client.placeHold.bind(client), PlaceHoldRequest.create({ scope, name, reason: "why" }), as(who));
    const release = (who: keyof typeof tokens, scope: HoldScope, name = "") =>
      call(client.releaseHold.bind(client), ReleaseHoldRequest.create({ scope, name }), as(who));
    const names = async (who: keyof typeof tokens) =>
      (await call(client.listHolds.bind(client), ListHoldsRequest.create(), as(who))).holds.map(({ name }) => name);
    for (const [scope, name] of [
      [whole, ""],
      [pool, "test"],
      [tenant, "two"],
    ] as const) {
      expect((await refusalOf(place("member", scope, name))).code).toBe("CALLER_NOT_ALLOWED");
      expect((await refusalOf(release("member", scope, name))).code).toBe("CALLER_NOT_ALLOWED");
    }
    expect((await place("member", tenant)).hold).toMatchObject({ scope: tenant, name: "one", placedBy: "one", reason: "why" });
    for (const [scope, name] of [
      [whole, ""],
      [pool, "test"],
      [tenant, "two"],
    ] as const) {
      await place("admin", scope, name);
    }
    expect([await names("admin"), await names("reader"), await names("other")]).toEqual([
      ["", "test", "one", "two"],
      ["", "test", "one"],
      ["", "test", "two"],
    ]);
    expect([(await release("member", tenant)).released, (await release("member", tenant)).released]).toEqual([true, false]);
    await Promise.all([release("admin", whole), release("admin", pool, "test"), release("admin", tenant, "two")]);
    expect(await names("admin")).toEqual([]);
  });
});
