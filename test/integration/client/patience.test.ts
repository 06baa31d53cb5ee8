import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { connectFarm, type FarmClient } from "../../../services/client/farm-client.ts";
import { type ErrorCode, FarmError } from "../../../services/domain/errors.ts";
import { FarmServiceService } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { collect } from "../../support/collect.ts";
import { refusalOf } from "../../support/farm-calls.ts";
import { type Handlers, type ScriptedFarm, scriptedJob, scriptedUploads, startScriptedFarm } from "../../support/scripted-farm.ts";

let farm: ScriptedFarm | undefined;
let client: FarmClient | undefined;
afterEach(async () => {
  client?.close();
  await farm?.stop();
});

async function connected(handlers: Handlers): Promise<{ readonly farm: ScriptedFarm; readonly client: FarmClient }> {
  farm = await startScriptedFarm(handlers);
  client = connectFarm({ address: farm.address });
  return { farm, client };
}

/** Refuses the first calls with these codes, in turn; then leaves them to the handler. */
function refusedFirst<Q>(codes: ErrorCode[], handler: ((request: Q) => unknown) | undefined) {
  return (request: Q): unknown => {
    const code = codes.shift();
    if (code !== undefined) throw new FarmError(code, { details: { retryAfterMs: 1 } });
    return handler?.(request);
  };
}

describe("a farm that answers nothing but that its deadline passed", () => {
  const late: Handlers = {
    getJob: refusedFirst(Array<ErrorCode>(50).fill("DEADLINE_PASSED"), undefined),
    getUpload: refusedFirst(Array<ErrorCode>(50).fill("DEADLINE_PASSED"), undefined),
    watchJob: refusedFirst(Array<ErrorCode>(50).fill("DEADLINE_PASSED"), undefined),
  };

  it("is asked for a job no longer than patience lasts", async () => {
    const { farm, client } = await connected(late);
    expect((await refusalOf(client.getJobPatiently("job-1", { patienceMs: 150 }))).code).toBe("DEADLINE_PASSED");
    expect(farm.requests("getJob")).toHaveLength(2);
  });

  it("is watched no longer", async () => {
    const { farm, client } = await connected(late);
    expect((await refusalOf(collect(client.watch("job-1", { patienceMs: 150 })))).code).toBe("DEADLINE_PASSED");
    expect(farm.requests("watchJob")).toHaveLength(2);
  });

  it("is watched no longer when only its streams answer", async () => {
    const { client } = await connected({ ...late, watchJob: async function* () {} });
    expect((await refusalOf(collect(client.watch("job-1", { patienceMs: 150 })))).code).toBe("DEADLINE_PASSED");
  });

  it("is asked where an upload is no longer", async () => {
    const { farm, client } = await connected({ ...scriptedUploads([100]), getUpload: late.getUpload ?? (() => undefined) });
    expect((await refusalOf(client.upload(randomBytes(1_000_000), { patienceMs: 150 }))).code).toBe("DEADLINE_PASSED");
    expect(farm.requests("getUpload").length).toBeLessThan(4);
  });
});

describe("upload", () => {
  const bytes = randomBytes(400_000);

  it.each(["UPLOAD_OFFSET_MISMATCH", "UPLOAD_INCOMPLETE", "UPLOADS_BUSY"] as const)(
    "asks where it is and goes on after %s",
    async (code) => {
      const uploads = scriptedUploads([]);
      const { farm, client } = await connected({ ...uploads, uploadMedia: refusedFirst([code], uploads.uploadMedia) });
      await client.upload(bytes);
      expect(uploads.stored().equals(bytes)).toBe(true);
      expect([farm.requests("getUpload").length, farm.requests("uploadMedia").length]).toEqual([1, 2]);
    },
  );

  it("begins again where it may once the farm is less busy", async () => {
    const uploads = scriptedUploads([]);
    const { client } = await connected({ ...uploads, beginUpload: refusedFirst(["UPLOADS_BUSY"], uploads.beginUpload) });
    await client.upload(bytes);
    expect(uploads.stored().equals(bytes)).toBe(true);
  });

  it("gives up on a farm that never agrees where it is", async () => {
    const uploads = scriptedUploads([]);
    const refusing = refusedFirst(Array<ErrorCode>(50).fill("UPLOAD_OFFSET_MISMATCH"), undefined);
    const { client } = await connected({ ...uploads, uploadMedia: refusing });
    expect((await refusalOf(client.upload(bytes, { patienceMs: 150 }))).code).toBe("UPLOAD_OFFSET_MISMATCH");
  });
});

describe("calls", () => {
  it("are there for every method of the service, absent fields filled in", async () => {
    const { farm, client } = await connected({ getJob: () => ({ job: scriptedJob() }) });
    const names = Object.keys(FarmServiceService) as (keyof typeof FarmServiceService)[];
    expect(Object.keys(client.calls)).toEqual(names);
    const unary = names.filter((name) => !FarmServiceService[name].requestStream && !FarmServiceService[name].responseStream);
    for (const name of unary) await (client.calls[name] as (request: object) => Promise<unknown>)({}).catch(() => undefined);
    expect(farm.calls.map(({ method }) => method)).toEqual(unary);
    await client.calls.submitRender({ render: { prompt: "a" } }).catch(() => undefined);
    expect(farm.requests("submitRender")[1]).toMatchObject({ render: { prompt: "a", model: "", references: [] } });
  });
});
