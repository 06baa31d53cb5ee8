import { mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../services/domain/errors.ts";
import { MediaReference, type RenderSpec, type SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { FrameSelection } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { makeClip, projectRoot, runTestFfmpeg } from "../support/ffmpeg.ts";

let farm: TestFarm;
let folder = "";
/** A request that would be accepted. */
let good: Partial<RenderSpec> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-bad-"));
  const limits = { VAPFARM_MEDIA_MAX_PIXELS: "120000", VAPFARM_MEDIA_MAX_FRAMES: "100", VAPFARM_MEDIA_MAX_BYTES: "2000000" };
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"], environment: limits });
  const image = await upload(farm.client, join(projectRoot, "demo/image.png"));
  const clip = await upload(farm.client, join(projectRoot, "demo/clip.mp4"));
  good = {
    image: MediaReference.create({ sha256: image.sha256 }),
    references: [MediaReference.create({ sha256: clip.sha256 })],
    referencePrompts: ["A ball."],
    seed: 1n,
    steps: 2,
  };
  const first = await submit(farm.client, submission(good, { idempotencyKey: "used" }));
  // Ended, so that nothing changes by itself any more.
  await watchUntilEnd(farm.client, first.jobId);
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Everything that a request could leave behind: rows, files in the store, half-received uploads. */
async function traces(): Promise<unknown> {
  const [rows] = await farm.sql(
    `select (select count(*)::int from job) as jobs, (select count(*)::int from task) as tasks, (select count(*)::int from ready) as ready,
      (select count(*)::int from upload) as uploads, (select count(*)::int from artifact) as artifacts, (select count(*)::int from event) as events`,
  );
  const files = await Promise.all(["artifacts", "coordinator"].map((name) => readdir(join(farm.dataFolder, name), { recursive: true })));
  const real = await Promise.all(
    files.flat().map(async (name, index) => {
      const root = index < (files[0]?.length ?? 0) ? "artifacts" : "coordinator";
      return (await stat(join(farm.dataFolder, root, name))).isFile() ? [name] : [];
    }),
  );
  return { rows, files: real.flat().sort() };
}

async function refusalOf(call: () => Promise<unknown>): Promise<FarmError> {
  const before = await traces();
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FarmError);
  expect(await traces()).toEqual(before);
  return error as FarmError;
}

function expectInvalid(error: FarmError, code: string, field?: string): void {
  expect([error.code, error.details["grpcStatus"]]).toEqual([code, "INVALID_ARGUMENT"]);
  const fields = error.details.fields ?? [];
  expect(fields.length).toBeGreaterThan(0);
  for (const violation of fields) expect([violation.field, violation.reason, violation.remedy].every((text) => text !== "")).toBe(true);
  if (field !== undefined) expect(fields.map((violation) => violation.field)).toContain(field);
}

async function cut(path: string, to: string, share: number): Promise<string> {
  const { size } = await stat(path);
  const source = await open(path, "r");
  const { buffer } = await source.read(Buffer.alloc(Math.floor(size * share)), 0, Math.floor(size * share), 0);
  await source.close();
  await writeFile(to, buffer);
  return to;
}

/** Name → a file that must not be accepted. */
const media: Readonly<Record<string, readonly [code: string, make: (path: string) => Promise<string>]>> = {
  "a file that is no image or video": ["MEDIA_NOT_DECODABLE", (path) => write(path, "just some text, not a picture\n".repeat(40))],
  "a playlist that names other files": ["MEDIA_NOT_DECODABLE", (path) => write(path, "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")],
  "a drawing that could name other files": [
    "MEDIA_NOT_DECODABLE",
    (path) => write(path, '<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>'),
  ],
  "an empty file": ["MEDIA_EMPTY", (path) => write(path, "")],
  "a video that ends before its end": ["MEDIA_TRUNCATED", async (path) => cut(await makeClip(`${path}.mp4`), path, 0.6)],
  "an image that ends before its end": ["MEDIA_TRUNCATED", (path) => cut(join(projectRoot, "demo/image.png"), path, 0.5)],
  "sound without a picture": [
    "MEDIA_NO_VIDEO",
    async (path) => {
      await runTestFfmpeg(["-f", "lavfi", "-i", "sine=duration=1", "-f", "mp4", path]);
      return path;
    },
  ],
  "a video of no frame": [
    "MEDIA_EMPTY",
    async (path) => {
      await runTestFfmpeg(["-f", "lavfi", "-i", "testsrc=size=64x48:rate=16:duration=1", "-frames:v", "0", "-f", "avi", path]);
      return path;
    },
  ],
  "more pixels than allowed": ["MEDIA_TOO_LARGE", (path) => makeClip(`${path}.mp4`, { size: "640x480", seconds: 1 })],
  "more frames than allowed": ["MEDIA_TOO_LARGE", (path) => makeClip(`${path}.mp4`, { seconds: 8 })],
  "more bytes than allowed": ["MEDIA_TOO_LARGE", (path) => write(path, "x".repeat(2_100_000))],
};

async function write(path: string, text: string): Promise<string> {
  await writeFile(path, text);
  return path;
}

describe("an upload", () => {
  it.each(Object.keys(media))("of %s is refused and leaves nothing", async (what) => {
    const [code, make] = media[what] ?? ["", write];
    const path = await (make as (path: string) => Promise<string>)(join(folder, what.replaceAll(" ", "-")));
    expectInvalid(await refusalOf(() => upload(farm.client, path)), code);
  });
});

type Bad = {
  readonly render?: Partial<RenderSpec>;
  readonly job?: Partial<SubmitRenderRequest>;
  readonly field: string;
  readonly code?: string;
};

const requests: Readonly<Record<string, Bad>> = {
  "fewer reference prompts than references": { render: { referencePrompts: [] }, field: "render.reference_prompts" },
  "more reference prompts than references": { render: { referencePrompts: ["a", "b"] }, field: "render.reference_prompts" },
  "no reference": { render: { references: [], referencePrompts: [] }, field: "render.references" },
  "a width that the model does not have": { render: { width: 720 }, field: "render.width" },
  "a height that the model does not have": { render: { height: 480 }, field: "render.height" },
  "a frame count that the model does not have": { render: { frames: 49 }, field: "render.frames" },
  "no steps": { render: { steps: 0 }, field: "render.steps" },
  "more than 1000 steps": { render: { steps: 1001 }, field: "render.steps" },
  "guidance that is not a number": { render: { guidance: { scale: Number.NaN, dynamic: false } }, field: "render.guidance.scale" },
  "guidance without bound": { render: { guidance: { scale: Number.POSITIVE_INFINITY, dynamic: true } }, field: "render.guidance.scale" },
  "an unknown model": { render: { model: "nothing" }, field: "render.model", code: "MODEL_UNKNOWN" },
  "a seed below its range": { render: { seed: -1n }, field: "render.seed" },
  "an image that was never uploaded": {
    render: { image: MediaReference.create({ sha256: "0".repeat(64) }) },
    field: "render.image",
    code: "MEDIA_UNKNOWN",
  },
  "a reference that was never uploaded": {
    render: { references: [MediaReference.create({ sha256: "0".repeat(64) })] },
    field: "render.references[0]",
    code: "MEDIA_UNKNOWN",
  },
  "a hash that is none": { render: { image: MediaReference.create({ sha256: "nonsense" }) }, field: "render.image" },
  "a priority out of range": { job: { priority: 101 }, field: "priority" },
  "an idempotency key that is too long": { job: { idempotencyKey: "k".repeat(129) }, field: "idempotency_key" },
  "a reused idempotency key and another body": {
    render: { seed: 2n },
    job: { idempotencyKey: "used" },
    field: "idempotency_key",
    code: "IDEMPOTENCY_CONFLICT",
  },
};

describe("a render", () => {
  it.each(Object.keys(requests))("with %s is refused and leaves nothing", async (what) => {
    const { render = {}, job = {}, field, code = "FIELD_INVALID" } = requests[what] ?? { field: "" };
    const error = await refusalOf(() => submit(farm.client, submission({ ...good, ...render }, job)));
    expectInvalid(error, code, field);
  });

  it("with several mistakes hears of all of them at once", async () => {
    const error = await refusalOf(() => submit(farm.client, submission({ ...good, steps: 0, seed: -5n, width: 1 }, { priority: 1000 })));
    const fields = (error.details.fields ?? []).map(({ field }) => field);
    expect(fields.sort()).toEqual(["priority", "render.seed", "render.steps", "render.width"]);
  });

  it("that takes the first frames of a clip that is too short is refused", async () => {
    const short = await upload(farm.client, await makeClip(join(folder, "short.mp4"), { seconds: 0.5 }));
    const render = {
      ...good,
      references: [MediaReference.create({ sha256: short.sha256 })],
      frameSelection: FrameSelection.FRAME_SELECTION_FIRST,
    };
    expectInvalid(await refusalOf(() => submit(farm.client, submission(render))), "MEDIA_TOO_SHORT", "render.references[0]");
  });

  it("whose steps do not divide 1000 and whose prompt is too long runs as the reference does, with warnings", async () => {
    const prompt = "A pot on a table inflates like a balloon. ".repeat(60);
    const { job } = await watchUntilEnd(farm.client, (await submit(farm.client, submission({ ...good, steps: 3, prompt }))).jobId);
    expect(job.artifacts.map(({ name }) => name)).toEqual(["mp4"]);
    expect(job.warnings.map(({ code }) => code)).toEqual(expect.arrayContaining(["STEPS_DO_NOT_DIVIDE_1000", "PROMPT_TRUNCATED"]));
  });
});
