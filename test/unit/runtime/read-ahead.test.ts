import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StageRun, StageWork } from "../../../services/worker/runtime/stage-run.ts";
import { withInputs } from "../../../services/worker/runtime/thread/read-ahead.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-read-"));
  await writeFile(join(folder, "there"), "bytes");
});

afterEach(() => rm(folder, { recursive: true }));

const runOf = (work: StageWork, name: string): StageRun => ({
  runId: "run",
  modelFolder: folder,
  engineDigests: {},
  work,
  inputs: { pixels: { kind: "path", path: join(folder, name) } },
  outputFolder: folder,
  checkpoints: { everySteps: 0, everyMs: 0, mostShare: 0 },
  mayWait: true,
});

describe("reading ahead", () => {
  it("takes a run's tensor files into memory", async () => {
    const { run, read } = await withInputs(runOf({ stage: "clip_encode" }, "there"));
    expect(run.inputs["pixels"]).toEqual({ kind: "inline", bytes: Buffer.from("bytes") });
    expect(read).toHaveLength(1);
  });

  it("leaves what cannot be read to the stage that needs it, which names it", async () => {
    const asked = runOf({ stage: "clip_encode" }, "gone");
    expect(await withInputs(asked)).toEqual({ run: asked, read: [] });
  });

  it("leaves media to the program that decodes them", async () => {
    const resize = { kind: "stretch", height: 8, width: 8 } as const;
    const asked = runOf({ stage: "prepare", frames: 1, resize, selection: "first" }, "there");
    expect(await withInputs(asked)).toEqual({ run: asked, read: [] });
  });
});
