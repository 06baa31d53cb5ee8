import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requireFloat32, requireInt64, requireUint8 } from "../../../services/domain/tensors/tensor.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { goldenPixels, goldenPixelsFile, meanDifference } from "../../support/golden-pixels.ts";
import { type GoldenCase, goldenNames, maxDifference, openGolden } from "../../support/golden.ts";
import { demoModelFolder, type StageAnswer, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

let runtime: TestRuntime;
let negativePrompt: string;

beforeAll(async () => {
  runtime = await startTestRuntime();
  negativePrompt = (await openModel(demoModelFolder)).defaults.negativePrompt;
});

afterAll(async () => {
  await runtime.stop();
});

const encodeText = (prompt: string): Promise<StageAnswer> => runtime.run({ parameters: { $case: "textEncode", value: { prompt } } });

const encodePixels = (pixels: Uint8Array, firstFrameOnly: boolean): Promise<StageAnswer> =>
  runtime.run({ parameters: { $case: "vaeEncode", value: { firstFrameOnly } }, inputs: { pixels } });

/** Texts in the order of the golden text{i}_*: prompt, negative, then each reference's prompt and negative. */
const textsOf = ({ settings }: GoldenCase): readonly string[] => [
  settings.prompt,
  negativePrompt,
  ...settings.ref_prompts.flatMap((prompt) => [prompt, negativePrompt]),
];

/** Runs all stages from the golden pixels to the latents. */
async function renderLatents(golden: GoldenCase): Promise<StageAnswer> {
  const { settings } = golden;
  const inputs: Record<string, string> = {
    image_moments: (await encodePixels(goldenPixelsFile(golden, "image_pixels"), true)).path("moments"),
  };
  const texts = textsOf(golden);
  const embeds: string[] = [];
  for (const text of texts) embeds.push((await encodeText(text)).path("embeds"));
  const place = (name: string, index: number): void => {
    inputs[name] = embeds[index] ?? "";
  };
  place("prompt_embeds", 0);
  place("negative_prompt_embeds", 1);
  for (let index = 0; index < settings.refs; index += 1) {
    const pixels = goldenPixelsFile(golden, `ref${index}_pixels`);
    inputs[`ref${index}_moments`] = (await encodePixels(pixels, false)).path("moments");
    inputs[`ref${index}_first_moments`] = (await encodePixels(pixels, true)).path("moments");
    place(`ref${index}_prompt_embeds`, 2 + 2 * index);
    place(`ref${index}_negative_prompt_embeds`, 3 + 2 * index);
  }
  const value = {
    seed: BigInt(settings.seed),
    steps: settings.steps,
    guidanceScale: settings.guidance_scale,
    dynamicGuidance: settings.use_dynamic_cfg,
    scheduler: settings.scheduler === "CogVideoXDDIMScheduler" ? SchedulerKind.SCHEDULER_KIND_DDIM : SchedulerKind.SCHEDULER_KIND_DPM,
    references: settings.refs,
  };
  return runtime.run({ parameters: { $case: "denoise", value }, inputs });
}

describe.each(goldenNames)("%s through the runtime process", (name) => {
  const golden = openGolden(name);

  it("gives the reference's token ids exactly and its embeddings within 1e-4", async ({ annotate }) => {
    let worst = 0;
    for (const [index, text] of textsOf(golden).entries()) {
      const tensors = await (await encodeText(text)).tensors("embeds");
      expect([...requireInt64("input_ids", tensors.get("input_ids")).data]).toEqual([...golden.int64(`text${index}_ids`).data]);
      const embeds = requireFloat32("prompt_embeds", tensors.get("prompt_embeds"));
      worst = Math.max(worst, maxDifference(embeds.data, golden.float32(`text${index}_embeds`).data));
    }
    await annotate(`largest difference ${worst}`);
    expect(worst).toBeLessThanOrEqual(1e-4);
  });

  it("gives the reference's moments within 1e-4", async ({ annotate }) => {
    const check = async (pixels: string, moments: string, firstFrameOnly: boolean): Promise<number> => {
      const tensors = await (await encodePixels(goldenPixelsFile(golden, pixels), firstFrameOnly)).tensors("moments");
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

  it("gives the reference's latents after the last step within 5e-4 and its frames within a level", async ({ annotate }) => {
    const denoised = await renderLatents(golden);
    const latents = requireFloat32("latents", (await denoised.tensors("latents")).get("latents"));
    const max = maxDifference(latents.data, golden.float32(`step${golden.settings.steps - 1}_latents`).data);
    expect(max).toBeLessThanOrEqual(5e-4);
    const decoded = await runtime.run({
      parameters: { $case: "vaeDecode", value: { outputs: [OutputKind.OUTPUT_KIND_FRAMES, OutputKind.OUTPUT_KIND_MP4] } },
      inputs: { latents: denoised.path("latents") },
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

describe("prepare through the runtime process", () => {
  it("gives the reference's image pixels exactly and its clip within half a level", async ({ annotate }) => {
    const golden = openGolden("cogvideox-ddim-1ref");
    const prepare = async (media: string, frames: number, frameSelection: FrameSelection): Promise<Uint8Array> => {
      const answer = await runtime.run({
        parameters: { $case: "prepare", value: { frames, height: 48, width: 64, frameSelection } },
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
