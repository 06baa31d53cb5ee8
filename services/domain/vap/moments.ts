/**
 * Between the VAE's distribution and the latents that are denoised.
 *
 * An encoder gives moments [1,2C,T,h,w] = mean ⧺ logvar; CogVideoX samples them, so what is stored are moments and the draw happens in
 * `denoise` (spec §1.1.5; diffusers autoencoders/vae.py:691-715). Latents lie frames first, [1,T,C,h,w], the VAE's tensors channels first.
 * Every operation is rounded to float32, as torch does on CPU.
 */
import { FarmError } from "../errors.ts";
import { float32 } from "../tensors/tensor.ts";
import type { Float32Tensor } from "../tensors/tensor.ts";

const minLogVariance = -30;
const maxLogVariance = 20;

/**
 * z = mean + exp(0.5 · clamp(logvar, −30, 20)) · ε, times `scale`, with axes swapped: moments float32 [1,2C,T,h,w] and ε float32 [C·T·h·w] in the
 * order [1,C,T,h,w] → float32 [1,T,C,h,w].
 */
export function sampleLatents(moments: Float32Tensor, noise: Float32Array, scale: number): Float32Tensor {
  const [batch, doubled = 0, frames = 0, height = 0, width = 0] = moments.shape;
  const count = moments.data.length / 2;
  const valid = moments.shape.length === 5 && batch === 1 && doubled % 2 === 0 && noise.length === count;
  if (!valid) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `moments [${moments.shape.join(",")}] do not fit ${noise.length} draws` });
  }
  const scale32 = Math.fround(scale);
  const sampled = new Float32Array(count);
  for (let index = 0; index < count; index += 1) {
    const logVariance = Math.min(Math.max(moments.data[count + index] as number, minLogVariance), maxLogVariance);
    const deviation = Math.fround(Math.exp(Math.fround(0.5 * logVariance)));
    const latent = Math.fround((moments.data[index] as number) + Math.fround(deviation * (noise[index] as number)));
    sampled[index] = latent * scale32;
  }
  return swapLeadingAxes(float32([1, doubled / 2, frames, height, width], sampled));
}

/** The VAE decoder's input: latents float32 [1,T,C,h,w] → (1 / scalingFactor) · latents, float32 [1,C,T,h,w]. */
export function latentsToDecoderInput(latents: Float32Tensor, scalingFactor: number): Float32Tensor {
  const input = swapLeadingAxes(latents);
  const inverse = Math.fround(1 / scalingFactor);
  for (let index = 0; index < input.data.length; index += 1) input.data[index] = inverse * (input.data[index] as number);
  return input;
}

/** [1,A,B,h,w] → [1,B,A,h,w], copied. */
function swapLeadingAxes(tensor: Float32Tensor): Float32Tensor {
  const [batch, outer = 0, inner = 0, height = 0, width = 0] = tensor.shape;
  if (tensor.shape.length !== 5 || batch !== 1) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `latents have shape [${tensor.shape.join(",")}], expected five axes` });
  }
  const plane = height * width;
  const swapped = new Float32Array(tensor.data.length);
  for (let row = 0; row < outer; row += 1) {
    for (let column = 0; column < inner; column += 1) {
      const source = (row * inner + column) * plane;
      swapped.set(tensor.data.subarray(source, source + plane), (column * outer + row) * plane);
    }
  }
  return float32([1, inner, outer, height, width], swapped);
}
