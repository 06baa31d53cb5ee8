/**
 * What Wan's denoiser begins from (spec §1.2.5-1.2.6; pipeline_wan_i2v_mot.py:398-499, 806-874).
 *
 * The VAE's latents are deterministic and come normalised, so that the initial noise is the only draw. The mask channels and the reference's
 * constant timestep 1 are inside the engine. Prompts are calls of their own: the positive one first, then the negative one.
 */
import { FarmError } from "../../errors.ts";
import { elementCount, float32 } from "../../tensors/tensor.ts";
import type { Float32Tensor } from "../../tensors/tensor.ts";
import { inputOf, promptsOf, referencesOf } from "../denoise-inputs.ts";
import type { DenoiseRequest, LatentSize, Variant } from "../variant.ts";

/** [1,C,T,h,w]. */
export function wanLatentShape({ frames, channels, height, width }: LatentSize): readonly number[] {
  return [1, channels, frames, height, width];
}

/**
 * Inputs are latents float32 [1,C,T,h,w], image embeddings [1,P,D'] and prompt embeddings [1,L,D]. Each call: image_latents, ref_latents,
 * ref_image_latents [1,C,T,h,w], image_embeds, ref_image_embeds [1,P,D'], prompt_embeds, ref_prompt_embeds [1,L,D].
 */
export const beginWan: Variant["begin"] = (request) => {
  requireOneReference(request);
  const shape = wanLatentShape(request.model.latent);
  const constant = {
    image_latents: inputOf(request, "image_latents", shape),
    image_embeds: imageEmbeds(request, "image_embeds"),
    ref_latents: inputOf(request, "ref0_latents", shape),
    ref_image_latents: inputOf(request, "ref0_first_latents", shape),
    ref_image_embeds: imageEmbeds(request, "ref0_image_embeds"),
  };
  const [main, reference] = [promptsOf(request, ""), promptsOf(request, "ref0_")];
  const callWith = (prompt: Float32Tensor, referencePrompt: Float32Tensor) => ({
    ...constant,
    prompt_embeds: prompt,
    ref_prompt_embeds: referencePrompt,
  });
  const calls = [callWith(main.positive, reference.positive)];
  if (main.negative !== undefined && reference.negative !== undefined) calls.push(callWith(main.negative, reference.negative));
  return { latents: float32(shape, request.draw(elementCount(shape))), calls };
};

/** With two prompts for one clip the reference reads the second's tokens as an image and says nothing (spec §1.2.3). */
function requireOneReference(request: DenoiseRequest): void {
  const { length } = referencesOf(request);
  if (length !== 1) throw new FarmError("STAGE_INPUT_INVALID", { message: `${length} references, the model takes exactly one` });
}

function imageEmbeds(request: DenoiseRequest, name: string): Float32Tensor {
  const { clip } = request.model;
  if (clip === undefined) throw new FarmError("MODEL_INVALID", { message: "the model's manifest says nothing of CLIP" });
  return inputOf(request, name, [1, clip.tokens, clip.width]);
}
