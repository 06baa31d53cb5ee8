/**
 * Inputs of a denoise of the demo model, all zero: enough to keep it busy.
 */
import { encodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import { float32, type Tensor } from "../../services/domain/tensors/tensor.ts";

/** Tensor files of the demo model's sizes, by input name. */
export function zeroDenoiseInputs(): Readonly<Record<string, Uint8Array>> {
  const file = (name: string, shape: readonly number[]): Uint8Array => {
    const tensor: Tensor = float32(shape, new Float32Array(shape.reduce((product, extent) => product * extent, 1)));
    return encodeSafetensors({ [name]: tensor });
  };
  const still = file("moments", [1, 32, 1, 6, 8]);
  const embeds = file("prompt_embeds", [1, 226, 32]);
  return {
    image_moments: still,
    ref0_moments: file("moments", [1, 32, 5, 6, 8]),
    ref0_first_moments: still,
    prompt_embeds: embeds,
    negative_prompt_embeds: embeds,
    ref0_prompt_embeds: embeds,
    ref0_negative_prompt_embeds: embeds,
  };
}
