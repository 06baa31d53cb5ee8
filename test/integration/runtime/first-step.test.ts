import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { float32, type Float32Tensor, int64 } from "../../../services/domain/tensors/tensor.ts";
import { openSession } from "../../../services/worker/runtime/engines/onnx-session.ts";
import { engineOf } from "../../../services/platform/models/manifest.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { cogvideoxNames, type GoldenCase, maxDifference, openGolden, wanNames } from "../../support/golden.ts";
import { answersOf, beginGolden } from "../../support/denoise-case.ts";
import { demoFolderOf, demoModelFolder } from "../../support/runtime-process.ts";

type Slice = { readonly start: number; readonly frames: number; readonly channel: number };

/** 16 channels from `channel` of golden hidden states [2,T,32,h,w], first of the pair: [1,frames,16,h,w]. */
function slice(golden: GoldenCase, tensor: string, { start, frames, channel }: Slice): Float32Tensor {
  const { shape, data } = golden.float32(tensor);
  const [, , channels = 0, height = 0, width = 0] = shape;
  const plane = height * width;
  const picked = new Float32Array(frames * 16 * plane);
  for (let frame = 0; frame < frames; frame += 1) {
    const from = ((start + frame) * channels + channel) * plane;
    picked.set(data.subarray(from, from + 16 * plane), frame * 16 * plane);
  }
  return float32([1, frames, 16, height, width], picked);
}

function stack(parts: readonly Float32Tensor[], shape: readonly number[]): Float32Tensor {
  return float32(shape, new Float32Array(parts.flatMap(({ data }) => [...data])));
}

describe.each(cogvideoxNames)("the denoise engine on the first step of %s", (name) => {
  it("predicts the reference's noise within 1e-4", async ({ annotate }) => {
    const golden = openGolden(name);
    const model = await openModel(demoModelFolder);
    const engine = engineOf(model, "denoise");
    const session = await openSession(join(model.folder, engine.path), engine, { providers: ["cpu"], threads: 1, deviceId: 0 });
    const references = Array.from({ length: golden.settings.refs }, (_, index) => index);
    const clip = (index: number, channel: number, frames: number) =>
      slice(golden, "step0_hidden_states_mot_ref", { start: index * 5, frames, channel });
    const embeds = (index: number) => golden.float32(`text${index}_embeds`);
    const { noise_pred: noisePred } = await session.run({
      latents: slice(golden, "step0_hidden_states", { start: 0, frames: 5, channel: 0 }),
      image_latents: slice(golden, "step0_hidden_states", { start: 0, frames: 1, channel: 16 }),
      timestep: int64([1], BigInt64Array.of(golden.int64("timesteps").data[0] ?? -1n)),
      prompt_embeds: stack([embeds(1), embeds(0)], [2, 226, 32]),
      ref_latents: stack(
        references.map((index) => clip(index, 0, 5)),
        [references.length, 5, 16, 6, 8],
      ),
      ref_image_latents: stack(
        references.map((index) => clip(index, 16, 1)),
        [references.length, 1, 16, 6, 8],
      ),
      ref_prompt_embeds: stack(
        references.flatMap((index) => [embeds(3 + 2 * index), embeds(2 + 2 * index)]),
        [references.length, 2, 226, 32],
      ),
    });
    await session.close();
    const worst = maxDifference(noisePred?.data ?? [], golden.float32("step0_noise_pred").data);
    await annotate(`largest difference ${worst}`);
    expect(worst).toBeLessThanOrEqual(1e-4);
  });
});

describe.each(wanNames)("the denoise engine on the first step of %s", (name) => {
  it("predicts the reference's noise of both calls within 1e-4", async ({ annotate }) => {
    const golden = openGolden(name);
    const model = await openModel(demoFolderOf("wan"));
    const engine = engineOf(model, "denoise");
    const session = await openSession(join(model.folder, engine.path), engine, { providers: ["cpu"], threads: 1, deviceId: 0 });
    const { plan, calls, state } = beginGolden(golden);
    const timestep = float32([1], Float32Array.of(plan.steps[0]?.timestep ?? NaN));
    const expected = answersOf(golden, 0);
    const differences: number[] = [];
    for (const [index, call] of calls.entries()) {
      const { noise_pred: noisePred } = await session.run({ ...call, latents: state.latents, timestep });
      differences.push(maxDifference(noisePred?.data ?? [], expected[index]?.data ?? []));
    }
    await session.close();
    await annotate(`largest differences ${differences.join(", ")}`);
    expect(differences).toHaveLength(2);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1e-4);
  });
});
