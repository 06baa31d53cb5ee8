import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeSafetensors, encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { type Float32Tensor, requireFloat32 } from "../../../services/domain/tensors/tensor.ts";
import { SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { maxDifference, openGolden } from "../../support/golden.ts";
import { type StageAnswer, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

const two = openGolden("cogvideox-ddim-2ref");
const one = openGolden("cogvideox-ddim-1ref");

let runtime: TestRuntime;
beforeAll(async () => {
  runtime = await startTestRuntime();
});
afterAll(async () => {
  await runtime.stop();
});

type Reference = { readonly clip: Float32Tensor; readonly first: Float32Tensor; readonly prompt: Float32Tensor };

/** The references of exporter/tests/test_three_references.py. */
const references: readonly Reference[] = [
  { clip: two.float32("ref0_moments"), first: two.float32("ref0_first_moments"), prompt: two.float32("text2_embeds") },
  { clip: two.float32("ref1_moments"), first: two.float32("ref1_first_moments"), prompt: two.float32("text4_embeds") },
  { clip: two.float32("ref0_moments"), first: two.float32("ref1_first_moments"), prompt: one.float32("text0_embeds") },
];

const moments = (tensor: Float32Tensor): Uint8Array => encodeSafetensors({ moments: tensor });
const embeds = (tensor: Float32Tensor): Uint8Array => encodeSafetensors({ prompt_embeds: tensor });

function denoiseInputs(chosen: readonly Reference[]): Readonly<Record<string, Uint8Array>> {
  const negative = embeds(two.float32("text1_embeds"));
  const perReference = chosen.flatMap(({ clip, first, prompt }, index) => [
    [`ref${index}_moments`, moments(clip)],
    [`ref${index}_first_moments`, moments(first)],
    [`ref${index}_prompt_embeds`, embeds(prompt)],
    [`ref${index}_negative_prompt_embeds`, negative],
  ]);
  return {
    image_moments: moments(two.float32("image_moments")),
    prompt_embeds: embeds(two.float32("text0_embeds")),
    negative_prompt_embeds: negative,
    ...(Object.fromEntries(perReference) as Record<string, Uint8Array>),
  };
}

async function latentsOf(chosen: readonly Reference[]): Promise<Float32Tensor> {
  const { seed, steps, guidance_scale: guidanceScale } = two.settings;
  const value = {
    seed: BigInt(seed),
    steps,
    guidanceScale,
    dynamicGuidance: false,
    scheduler: SchedulerKind.SCHEDULER_KIND_DDIM,
    references: chosen.length,
  };
  const answer: StageAnswer = await runtime.run({ parameters: { $case: "denoise", value }, inputs: denoiseInputs(chosen) });
  return requireFloat32("latents", (await answer.tensors("latents")).get("latents"));
}

describe("a render from three references through the runtime process", () => {
  it("gives the latents of the exporter's own modules within 5e-4", async ({ annotate }) => {
    const fixture = decodeSafetensors(await readFile(new URL("../../fixtures/vap/three-references.safetensors", import.meta.url)));
    const expected = requireFloat32("latents", fixture.tensors.get("latents"));
    const latents = await latentsOf(references);
    expect(latents.shape).toEqual(expected.shape);
    const worst = maxDifference(latents.data, expected.data);
    await annotate(`largest difference ${worst}`);
    expect(worst).toBeLessThanOrEqual(5e-4);
  });

  it("differs from two of them, and from the same three in another order", async () => {
    const all = await latentsOf(references);
    expect(maxDifference(all.data, (await latentsOf(references.slice(0, 2))).data)).toBeGreaterThan(0.01);
    expect(maxDifference(all.data, (await latentsOf(references.toReversed())).data)).toBeGreaterThan(0.01);
  });

  it("refuses a fourth", async () => {
    await expect(latentsOf([...references, ...references.slice(0, 1)])).rejects.toMatchObject({ code: "STAGE_INPUT_INVALID" });
  });
});
