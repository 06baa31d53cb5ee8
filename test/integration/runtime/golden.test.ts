import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requireFloat32, requireInt64, requireUint8 } from "../../../services/domain/tensors/tensor.ts";
import { FrameSelection, OutputKind, ResizeKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { changedModel } from "../../support/changed-model.ts";
import { flowEulerConfig } from "../../support/flow-scheduler-config.ts";
import { normalisedMean } from "../../support/denoise-case.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { goldenPixels, goldenPixelsFile, meanDifference } from "../../support/golden-pixels.ts";
import { createGoldenStages, type GoldenStages } from "../../support/golden-stages.ts";
import { cogvideoxNames, goldenNames, goldenTexts, maxDifference, openGolden, wanNames } from "../../support/golden.ts";
import { demoFolderOf, demoModelFolder, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

let runtime: TestRuntime;
let negativePrompt: string;

beforeAll(async () => {
  runtime = await startTestRuntime();
  negativePrompt = (await openModel(demoModelFolder)).defaults.negativePrompt;
});

afterAll(async () => {
  await runtime.stop();
});

const stagesOf = (name: (typeof goldenNames)[number]): GoldenStages =>
  createGoldenStages({ runtime, golden: openGolden(name), negativePrompt });

describe.each(goldenNames)("%s through the runtime process", (name) => {
  const golden = openGolden(name);

  it("gives the reference's token ids exactly and its embeddings within 1e-4", async ({ annotate }) => {
    const isWan = golden.settings.variant === "wan";
    let worst = 0;
    for (const [index, text] of goldenTexts(golden, negativePrompt).entries()) {
      const tensors = await (await stagesOf(name).encodeText(text)).tensors("embeds");
      expect([...requireInt64("input_ids", tensors.get("input_ids")).data]).toEqual([...golden.int64(`text${index}_ids`).data]);
      const embeds = requireFloat32("prompt_embeds", tensors.get("prompt_embeds"));
      if (!isWan) worst = Math.max(worst, maxDifference(embeds.data, golden.float32(`text${index}_embeds`).data));
      else {
        const mask = [...requireInt64("attention_mask", tensors.get("attention_mask")).data];
        expect(mask).toEqual([...golden.int64(`text${index}_mask`).data]);
        const kept = mask.filter((one) => one === 1n).length * (embeds.shape[2] ?? 0);
        expect(embeds.data.subarray(kept).every((value) => value === 0)).toBe(true);
        const hidden = golden.float32(`text${index}_hidden`).data.subarray(0, kept);
        worst = Math.max(worst, maxDifference(embeds.data.subarray(0, kept), hidden));
      }
    }
    await annotate(`largest difference ${worst}`);
    expect(worst).toBeLessThanOrEqual(1e-4);
  });

  it("gives the reference's latents after the last step within 5e-4 and its frames within a level", async ({ annotate }) => {
    const denoised = await stagesOf(name).denoise();
    const latents = requireFloat32("latents", (await denoised.tensors("latents")).get("latents"));
    const last = golden.float32(`step${golden.settings.steps - 1}_latents`);
    expect(latents.shape).toEqual(last.shape);
    const max = maxDifference(latents.data, last.data);
    expect(max).toBeLessThanOrEqual(5e-4);
    const decoded = await runtime.run({
      parameters: { $case: "vaeDecode", value: { outputs: [OutputKind.OUTPUT_KIND_FRAMES, OutputKind.OUTPUT_KIND_MP4] } },
      inputs: { latents: denoised.path("latents") },
      modelFolder: demoFolderOf(golden.settings.variant),
    });
    const frames = requireUint8("frames", (await decoded.tensors("frames")).get("frames"));
    const expected = golden.uint8("frames_u8");
    expect(frames.shape).toEqual(expected.shape);
    const near = frames.data.filter((value, index) => Math.abs(value - (expected.data[index] ?? 999)) <= 1).length / frames.data.length;
    await annotate(`latents differ by at most ${max}; ${near * 100} % of bytes within a level`);
    expect(near).toBeGreaterThanOrEqual(0.999);
    expect(decoded.result.outputs.map(({ mediaType }) => mediaType)).toEqual(["application/vnd.safetensors", "video/mp4"]);
  });
});

describe.each(cogvideoxNames)("%s through the runtime process, of CogVideoX", (name) => {
  const golden = openGolden(name);

  it("gives the reference's moments within 1e-4", async ({ annotate }) => {
    const check = async (pixels: string, moments: string, firstFrameOnly: boolean): Promise<number> => {
      const tensors = await (await stagesOf(name).encodePixels(goldenPixelsFile(golden, pixels), firstFrameOnly)).tensors("moments");
      return maxDifference(requireFloat32("moments", tensors.get("moments")).data, golden.float32(moments).data);
    };
    const differences = [await check("image_pixels", "image_moments", true)];
    for (let index = 0; index < golden.settings.refs; index += 1) {
      differences.push(await check(`ref${index}_pixels`, `ref${index}_moments`, false));
      differences.push(await check(`ref${index}_pixels`, `ref${index}_first_moments`, true));
    }
    await annotate(`largest difference ${Math.max(...differences)}`);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1e-4);
  });
});

describe.each(wanNames)("%s through the runtime process, of Wan", (name) => {
  const golden = openGolden(name);

  it("gives the reference's normalised latents of image, clip and first frame within 1e-4", async ({ annotate }) => {
    const differences: number[] = [];
    for (const [index, firstFrameOnly] of [true, false, true].entries()) {
      const answer = await stagesOf(name).encodePixels(goldenPixelsFile(golden, `vae${index}_pixels`), firstFrameOnly);
      const latents = requireFloat32("latents", (await answer.tensors("latents")).get("latents"));
      const expected = normalisedMean(golden.float32(`vae${index}_moments`));
      expect(latents.shape).toEqual(expected.shape);
      differences.push(maxDifference(latents.data, expected.data));
    }
    await annotate(`largest difference ${Math.max(...differences)}`);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1e-4);
  });

  it("gives what the reference's CLIP saw in both media, from the files, within 1e-4", async ({ annotate }) => {
    const image = { "wan-unipc": "woman-7.jpg", "wan-euler": "animal-2.jpg" }[name];
    const differences: number[] = [];
    for (const [index, media] of [image, "man-534.mp4"].entries()) {
      const { pixels, embeds } = await stagesOf(name).seenByClip(`${projectRoot}test/fixtures/media/${media}`);
      expect(pixels.shape).toEqual([1, 224, 224, 3]);
      const expected = golden.float32(`clip${index}_embeds`);
      expect(embeds.shape).toEqual(expected.shape);
      differences.push(maxDifference(embeds.data, expected.data));
    }
    await annotate(`differences ${differences.join(", ")}`);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1e-4);
  });
});

describe("a checkpoint whose own scheduler is Euler", () => {
  it("is denoised by it where nothing else is asked for, to the reference's latents within 5e-4", async ({ annotate }) => {
    const golden = openGolden("wan-euler");
    const model = await changedModel(demoFolderOf("wan"), (manifest) => {
      manifest["scheduler"] = flowEulerConfig;
      const { denoise } = manifest.engines;
      if (denoise !== undefined) denoise.constants["scheduler"] = flowEulerConfig;
    });
    const denoised = await createGoldenStages({ runtime, golden, negativePrompt, ownModel: model.folder }).denoise();
    const latents = requireFloat32("latents", (await denoised.tensors("latents")).get("latents"));
    const max = maxDifference(latents.data, golden.float32("step3_latents").data);
    await annotate(`largest difference ${max}`);
    expect(max).toBeLessThanOrEqual(5e-4);
    await model.remove();
  });
});

describe("prepare through the runtime process", () => {
  it("gives the reference's image pixels exactly and its clip within half a level", async ({ annotate }) => {
    const golden = openGolden("cogvideox-ddim-1ref");
    const prepare = async (media: string, frames: number, frameSelection: FrameSelection): Promise<Uint8Array> => {
      const size = { height: 48, width: 64, resize: ResizeKind.RESIZE_KIND_UNSPECIFIED, shortestEdge: 0 };
      const answer = await runtime.run({
        parameters: { $case: "prepare", value: { frames, frameSelection, ...size } },
        inputs: { media: `${projectRoot}test/fixtures/media/${media}` },
        modelFolder: demoModelFolder,
      });
      expect(answer.result).toMatchObject({ provider: "cpu", deviceMs: 0, profile: expect.stringMatching(/^cpu;ort-/) as string });
      return requireUint8("pixels", (await answer.tensors("pixels")).get("pixels")).data;
    };
    const image = await prepare("animal-2.jpg", 1, FrameSelection.FRAME_SELECTION_FIRST);
    expect(maxDifference(image, goldenPixels(golden, "image_pixels").data)).toBe(0);
    const clip = await prepare("man-534.mp4", 17, FrameSelection.FRAME_SELECTION_EVENLY);
    const expected = goldenPixels(golden, "ref0_pixels").data;
    const [mean, max] = [meanDifference(clip, expected), maxDifference(clip, expected)];
    await annotate(`mean ${mean}, max ${max} levels`);
    expect(mean).toBeLessThanOrEqual(0.5);
  });
});
