/**
 * The coordinator killed in the middle of each kind of stream: the client goes on by itself, and nothing that had gone through goes again.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FarmCalls } from "../../services/client/calls.ts";
import { download } from "../../services/client/download.ts";
import { upload } from "../../services/client/upload.ts";
import { RenderSpec, Reuse, SubmitRenderRequest, type UploadMediaRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { until } from "../support/until.ts";

const mebibyte = 1024 ** 2;
const partBytes = 8 * mebibyte;
/** Beyond the second part, within the third. */
const killAfterBytes = 20 * mebibyte;
const timeoutMs = 180_000;

let farm: TestFarm;
let folder: string;
let clip: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-streams-"));
  clip = Buffer.concat([await readFile(join(projectRoot, "demo/clip.mp4")), freeBox(40 * mebibyte)]);
  farm = await startTestFarm();
}, timeoutMs);
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What every reader of an MP4 skips. */
function freeBox(sizeBytes: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(sizeBytes);
  head.write("free", 4, "latin1");
  return Buffer.concat([head, randomBytes(sizeBytes - head.length)]);
}

async function killCoordinator(): Promise<void> {
  const found = (await farm.running()).processes.find(({ name }) => name === "coordinator");
  process.kill(found?.processId ?? expect.fail("there is no coordinator"), "SIGKILL");
}

/** One stream of an upload or a download. */
type Stream = { readonly offset: number; bytes: number };

/** The client's calls, uploads watched: the first stream waits after so many bytes until `interrupt` is done. */
function countingUploads(streams: Stream[], interrupt: () => Promise<void>): FarmCalls {
  async function* counted(messages: AsyncIterable<UploadMediaRequest>): AsyncGenerator<UploadMediaRequest> {
    let stream: Stream = { offset: 0, bytes: 0 };
    for await (const message of messages) {
      yield message;
      if (message.part?.$case === "header") streams.push((stream = { offset: Number(message.part.value.offsetBytes), bytes: 0 }));
      if (message.part?.$case !== "chunk") continue;
      stream.bytes += message.part.value.length;
      if (streams.length === 1 && stream.bytes === killAfterBytes) await interrupt();
    }
  }
  return { ...farm.client.calls, uploadMedia: (messages, control) => farm.client.calls.uploadMedia(counted(messages), control) };
}

/** The same of downloads. */
function countingDownloads(streams: Stream[], interrupt: () => Promise<void>): FarmCalls {
  return {
    ...farm.client.calls,
    async *downloadArtifact(request, control) {
      const stream: Stream = { offset: Number(request.offsetBytes ?? 0n), bytes: 0 };
      streams.push(stream);
      for await (const message of farm.client.calls.downloadArtifact(request, control)) {
        yield message;
        const before = stream.bytes;
        stream.bytes += message.chunk.length;
        if (streams.length === 1 && before < killAfterBytes && stream.bytes >= killAfterBytes) await interrupt();
      }
    },
  };
}

async function submit(steps: number): Promise<string> {
  const [image, reference] = await Promise.all([farm.client.upload(join(projectRoot, "demo/image.png")), farm.client.upload(clip)]);
  const render = RenderSpec.create({
    model: "demo",
    image: { sha256: image.sha256 },
    prompt: "The pot begins to inflate.",
    references: [{ sha256: reference.sha256 }],
    referencePrompts: ["A ball inflates."],
    seed: 7n,
    steps,
    outputs: [OutputKind.OUTPUT_KIND_LATENTS],
  });
  return (await farm.client.submit(SubmitRenderRequest.create({ render, reuse: Reuse.REUSE_NONE }))).jobId;
}

describe("when the coordinator is killed", { timeout: timeoutMs }, () => {
  it("an upload ends, and only what was in no stored part is sent again", async () => {
    const streams: Stream[] = [];
    const calls = countingUploads(streams, async () => {
      await until("two parts are stored", async () => (await farm.sql("select 1 from upload_part")).length === 2);
      await killCoordinator();
    });
    const media = await upload(calls, clip, { fileName: "clip.mp4" });
    expect(media.sha256).toBe(createHash("sha256").update(clip).digest("hex"));
    expect(streams[0]).toEqual({ offset: 0, bytes: expect.any(Number) as number });
    expect(streams.at(-1)).toEqual({ offset: 2 * partBytes, bytes: clip.length - 2 * partBytes });
    expect(await farm.sql("select 1 from upload_part")).toEqual([]);
  });

  it("a watch tells each event once and in order, to the job's end", async () => {
    const jobId = await submit(800);
    const numbers: bigint[] = [];
    const kinds: string[] = [];
    let isKilled = false;
    for await (const { update } of farm.client.watch(jobId)) {
      if (update?.$case === "event") {
        numbers.push(update.value.number);
        kinds.push(update.value.kind);
      } else if (!isKilled && update?.$case === "progress" && update.value.stage === "denoise" && update.value.step > 80) {
        isKilled = true;
        await killCoordinator();
      }
    }
    expect(isKilled).toBe(true);
    expect(numbers).toEqual(numbers.map((_number, index) => BigInt(index + 1)));
    expect(kinds.at(-1)).toBe("job.succeeded");
    expect((await farm.client.getJob(jobId)).lastEventNumber).toBe(numbers.at(-1));
  });

  it("a download ends, with no byte twice", async () => {
    const jobId = await submit(1);
    await farm.client.cancel(jobId);
    const streams: Stream[] = [];
    const path = join(folder, "clip.mp4");
    await download(countingDownloads(streams, killCoordinator), { jobId, name: "input_reference_1", path }, {});
    expect((await readFile(path)).equals(clip)).toBe(true);
    expect(streams.length).toBeGreaterThan(1);
    expect(streams[0]?.bytes).toBeLessThan(clip.length);
    expect(streams.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(clip.length);
    expect(streams.at(-1)?.offset).toBe(clip.length - (streams.at(-1)?.bytes ?? 0));
  });
});
