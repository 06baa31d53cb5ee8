import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connectFarm, type FarmClient } from "../../../services/client/farm-client.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { GetUploadResponse, JobEvent, JobState, SubmitRendersResponse } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { collect } from "../../support/collect.ts";
import { refusalOf } from "../../support/farm-calls.ts";
import {
  type Handlers,
  scriptedDownload,
  type ScriptedFarm,
  scriptedJob,
  scriptedUploads,
  startScriptedFarm,
} from "../../support/scripted-farm.ts";

let folder = "";
let farm: ScriptedFarm | undefined;
let client: FarmClient | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-client-"));
});
afterEach(async () => {
  client?.close();
  await farm?.stop();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function connected(handlers: Handlers): Promise<{ readonly farm: ScriptedFarm; readonly client: FarmClient }> {
  farm = await startScriptedFarm(handlers);
  client = connectFarm({ address: farm.address, token: "t", origin: "a test" });
  return { farm, client };
}

describe("upload", () => {
  const bytes = randomBytes(900_000);

  it("names a file that is there and cannot be read", async () => {
    const { client } = await connected({});
    const refused = await refusalOf(client.upload("/proc/self/mem"));
    expect(refused).toMatchObject({ code: "FIELD_INVALID", message: "file: /proc/self/mem cannot be read (EIO)" });
  });

  it("goes on where the farm is after streams broke, and tells the outages", async () => {
    const uploads = scriptedUploads([300_000, 600_000]);
    const { farm, client } = await connected(uploads);
    const path = join(folder, "clip.bin");
    await writeFile(path, bytes);
    const outages: FarmError[] = [];
    const media = await client.upload(path, { onOutage: (error) => outages.push(error) });
    expect(media.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(uploads.stored().equals(bytes)).toBe(true);
    expect([farm.requests("uploadMedia").length, farm.requests("beginUpload").length, outages.length]).toEqual([3, 1, 2]);
  });

  it("sends nothing of what the farm has already", async () => {
    const media = { sha256: "ab", sizeBytes: 3n, kind: "image", width: 1, height: 1, frames: 1 };
    const { farm, client } = await connected({ beginUpload: () => GetUploadResponse.create({ upload: { media } }) });
    expect((await client.upload(Buffer.from("abc"))).sha256).toBe("ab");
    expect(farm.requests("uploadMedia")).toEqual([]);
  });

  it("is begun anew when the farm has dropped what arrived", async () => {
    const uploads = scriptedUploads([300_000]);
    let asked = 0;
    const { farm, client } = await connected({
      ...uploads,
      getUpload() {
        asked += 1;
        throw new FarmError("ARTIFACT_UNKNOWN", { message: "no such upload" });
      },
    });
    await client.upload(bytes);
    expect([asked, farm.requests("beginUpload").length]).toEqual([1, 2]);
  });

  it("does not repeat what the farm refuses", async () => {
    const { farm, client } = await connected({
      ...scriptedUploads([]),
      uploadMedia() {
        throw new FarmError("MEDIA_NOT_DECODABLE");
      },
    });
    expect((await refusalOf(client.upload(bytes))).code).toBe("MEDIA_NOT_DECODABLE");
    expect(farm.requests("uploadMedia")).toHaveLength(1);
  });

  it("gives up once patience ends", async () => {
    const { client } = await connected({
      ...scriptedUploads([]),
      uploadMedia() {
        throw new FarmError("COORDINATOR_UNAVAILABLE");
      },
    });
    expect((await refusalOf(client.upload(bytes, { patienceMs: 0 }))).code).toBe("COORDINATOR_UNAVAILABLE");
  });

  it("names a file that is not there", async () => {
    const { client } = await connected({});
    expect((await refusalOf(client.upload(join(folder, "nothing")))).details.fields?.[0]?.reason).toContain("there is no file");
  });
});

describe("download", () => {
  const bytes = randomBytes(50_000);

  it("goes on by range after streams broke, and writes the verified whole", async () => {
    const { farm, client } = await connected(scriptedDownload(bytes, { chunkBytes: 5_000, cutAfter: [20_000, 10_000] }));
    const path = join(folder, "whole.mp4");
    await client.download({ jobId: "job-1", name: "mp4", path });
    expect((await readFile(path)).equals(bytes)).toBe(true);
    const offsets = farm.requests("downloadArtifact").map((request) => (request as { offsetBytes: bigint }).offsetBytes);
    expect(offsets).toEqual([0n, 20_000n, 30_000n]);
  });

  it("gives exactly the range that was asked for, broken or not", async () => {
    const { client } = await connected(scriptedDownload(bytes, { chunkBytes: 1_000, cutAfter: [2_000] }));
    const chunks = await collect(client.read({ jobId: "job-1", name: "mp4", range: { offset: 7, length: 4_321 } }));
    expect(Buffer.concat(chunks).equals(bytes.subarray(7, 4_328))).toBe(true);
  });

  it("leaves no file of bytes that are not what the farm said", async () => {
    const wrong: Handlers = {
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream
      async *downloadArtifact() {
        yield { artifact: { name: "mp4", sha256: "00".repeat(32), sizeBytes: 3n, mediaType: "" }, chunk: Buffer.from("abc") };
      },
    };
    const { client } = await connected(wrong);
    const into = join(folder, "corrupt");
    const refused = await refusalOf(client.download({ jobId: "job-1", name: "mp4", path: join(into, "x.mp4") }));
    expect([refused.code, await readdir(into)]).toEqual(["ARTIFACT_CORRUPT", []]);
  });
});

function event(number: bigint, jobState: JobState = JobState.JOB_STATE_UNSPECIFIED) {
  return { update: { $case: "event" as const, value: JobEvent.create({ number, jobState, kind: `event ${number}` }) } };
}

async function numbersOf(client: FarmClient, after?: bigint): Promise<readonly bigint[]> {
  const updates = await collect(client.watch("job-1", after === undefined ? {} : { afterEventNumber: after }));
  return updates.flatMap(({ update }) => (update?.$case === "event" ? [update.value.number] : []));
}

describe("watch", () => {
  it("tells a restored farm's log from its first event, where that is shorter than what was seen", async () => {
    const asked: bigint[] = [];
    const { client } = await connected({
      async *watchJob({ afterEventNumber: after }: { afterEventNumber: bigint }) {
        asked.push(after);
        if (asked.length === 2) {
          const fields = [{ field: "after_event_number", reason: "is outside", remedy: "begin at 0" }];
          throw new FarmError("FIELD_INVALID", { message: "after_event_number", details: { fields } });
        }
        const isRestored = asked.length === 3;
        for (let number = after + 1n; number <= (isRestored ? 2n : 3n); number += 1n) {
          const jobState = isRestored && number === 2n ? JobState.JOB_STATE_SUCCEEDED : JobState.JOB_STATE_UNSPECIFIED;
          yield await Promise.resolve({ update: { $case: "event" as const, value: JobEvent.create({ number, jobState }) } });
        }
        if (asked.length === 1) throw new FarmError("COORDINATOR_UNAVAILABLE");
      },
    });
    const updates = await collect(client.watch("job-1"));
    expect(asked).toEqual([0n, 3n, 0n]);
    expect(updates.map(({ update }) => update?.$case === "event" && update.value.number)).toEqual([1n, 2n, 3n, 1n, 2n]);
  });

  it("does not hide that the number it was given is of no event", async () => {
    const { client } = await connected({
      watchJob() {
        const fields = [{ field: "after_event_number", reason: "is outside", remedy: "begin at 0" }];
        throw new FarmError("FIELD_INVALID", { message: "after_event_number", details: { fields } });
      },
    });
    expect((await refusalOf(collect(client.watch("job-1", { afterEventNumber: 9n })))).code).toBe("FIELD_INVALID");
  });

  /** Breaks after the first event, ends in order after the second, as a coordinator that stops does. */
  const interrupted: Handlers = {
    getJob: (): unknown => ({ job: scriptedJob({ state: JobState.JOB_STATE_RUNNING }) }),
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async *watchJob({ afterEventNumber: after }: { afterEventNumber: bigint }) {
      if (after === 0n) {
        yield event(1n);
        throw new FarmError("COORDINATOR_UNAVAILABLE");
      }
      if (after === 1n) yield event(2n);
      else yield event(3n, JobState.JOB_STATE_SUCCEEDED);
    },
  };

  it("tells each event once, through broken streams and ones that end early", async () => {
    const { client } = await connected(interrupted);
    expect(await numbersOf(client)).toEqual([1n, 2n, 3n]);
  });

  it("begins after the event that was named", async () => {
    const { client } = await connected(interrupted);
    expect(await numbersOf(client, 2n)).toEqual([3n]);
  });

  it("goes on with a farm that comes back at the same address", async () => {
    const first = await startScriptedFarm(interrupted);
    const client = connectFarm({ address: first.address });
    const updates = client.watch("job-1", { afterEventNumber: 0n, onOutage: () => told.resolve(undefined) });
    const told = Promise.withResolvers<undefined>();
    const numbers: bigint[] = [];
    const following = (async () => {
      for await (const { update } of updates) {
        if (update?.$case !== "event") continue;
        numbers.push(update.value.number);
        if (update.value.number === 1n) await first.stop();
      }
    })();
    await told.promise;
    const second = await startScriptedFarm(interrupted, first.address);
    await following;
    expect(numbers).toEqual([1n, 2n, 3n]);
    client.close();
    await second.stop();
  });

  it("ends without an error when its signal aborts", async () => {
    const { client } = await connected({
      async *watchJob() {
        yield event(1n);
        await new Promise(() => undefined);
      },
    });
    const leaving = new AbortController();
    const seen: bigint[] = [];
    for await (const { update } of client.watch("job-1", { signal: leaving.signal })) {
      if (update?.$case === "event") seen.push(update.value.number);
      leaving.abort();
    }
    expect(seen).toEqual([1n]);
  });

  it("throws what is no outage", async () => {
    const { client } = await connected({
      watchJob() {
        throw new FarmError("JOB_UNKNOWN");
      },
    });
    expect((await refusalOf(numbersOf(client))).code).toBe("JOB_UNKNOWN");
  });
});

describe("lists", () => {
  const hundreds = Array.from({ length: 450 }, (_, index) => scriptedJob({ jobId: `job-${index}` }));
  const paged: Handlers = {
    listJobs({ pageToken, pageSize }: { pageToken: string; pageSize: number }) {
      const start = Number(pageToken === "" ? "0" : pageToken);
      const end = start + pageSize;
      return { jobs: hundreds.slice(start, end), nextPageToken: end < hundreds.length ? String(end) : "" };
    },
  };

  it("go through all pages", async () => {
    const { farm, client } = await connected(paged);
    expect((await collect(client.jobs({ tenant: "a" }))).map(({ jobId }) => jobId)).toEqual(hundreds.map(({ jobId }) => jobId));
    expect(farm.requests("listJobs")).toHaveLength(3);
    expect(farm.requests("listJobs")[2]).toMatchObject({ tenant: "a", pageToken: "400" });
  });

  it("ask for no more than the limit", async () => {
    const { farm, client } = await connected(paged);
    expect(await collect(client.jobs({}, { limit: 5 }))).toHaveLength(5);
    expect(farm.requests("listJobs")).toMatchObject([{ pageSize: 5 }]);
  });
});

describe("submitMany", () => {
  const wrong = SubmitRendersResponse.create({
    outcomes: [
      { index: 0, outcome: { $case: "position", value: 0 } },
      { index: 1, outcome: { $case: "error", value: { code: 3, message: "no prompt", details: [] } } },
    ],
  });

  it("names every wrong item when nothing was stored", async () => {
    const { client } = await connected({ submitRenders: () => wrong });
    const refused = await refusalOf(client.submitMany({ renders: [{}, {}] }));
    expect([refused.code, refused.details.fields]).toMatchObject(["FIELD_INVALID", [{ field: "renders[1]", reason: "no prompt" }]]);
  });

  it("answers what was left out when the rest was stored", async () => {
    const { client } = await connected({ submitRenders: () => ({ ...wrong, job: scriptedJob() }) });
    const { job, failures } = await client.submitMany({ renders: [{}, {}], allowPartial: true });
    expect([job?.jobId, failures.map(({ index }) => index)]).toEqual(["job-1", [1]]);
  });
});

describe("a farm that does not answer", () => {
  it("is named with where its address came from", async () => {
    const nobody = connectFarm({ address: "127.0.0.1:1", origin: "a test", remedy: "start one" });
    const refused = await refusalOf(nobody.getJob("x"));
    nobody.close();
    expect(refused).toMatchObject({ code: "COORDINATOR_UNAVAILABLE", message: "no farm answers at 127.0.0.1:1 (a test)" });
    expect(refused.details["remedy"]).toBe("start one");
  });

  it("costs no more than the call's deadline", async () => {
    const { client } = await connected({ getJob: () => new Promise(() => undefined) });
    expect((await refusalOf(client.getJob("x", { deadlineMs: 50 }))).code).toBe("DEADLINE_PASSED");
  });
});
