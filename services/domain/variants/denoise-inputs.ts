/**
 * Reading and stacking what `denoise` takes, for every variant.
 */
import { FarmError } from "../errors.ts";
import { float32, requireShape } from "../tensors/tensor.ts";
import type { Float32Tensor } from "../tensors/tensor.ts";
import type { DenoiseRequest } from "./variant.ts";

/** An input of a known shape; another is STAGE_INPUT_INVALID. */
export function inputOf(request: DenoiseRequest, name: string, shape: readonly number[]): Float32Tensor {
  const tensor = request.input(name);
  requireShape(name, tensor, shape);
  return tensor;
}

/** Embeddings [1,L,D] of a prompt and of its negative twin; `prefix` is empty or `ref{k}_`. */
export function promptsOf(
  request: DenoiseRequest,
  prefix: string,
): { readonly positive: Float32Tensor; readonly negative?: Float32Tensor } {
  const { maxTokens, width } = request.model.text;
  const read = (name: string): Float32Tensor => inputOf(request, `${prefix}${name}`, [1, maxTokens, width]);
  const positive = read("prompt_embeds");
  return request.isGuided ? { positive, negative: read("negative_prompt_embeds") } : { positive };
}

/** Numbers of the references, from 0; a render without one is STAGE_INPUT_INVALID. */
export function referencesOf({ references }: DenoiseRequest): readonly number[] {
  if (references < 1) throw new FarmError("STAGE_INPUT_INVALID", { message: "a render needs a reference" });
  return Array.from({ length: references }, (_, index) => index);
}

/** Tensors of equal size one after the other; `shape` is the whole's. */
export function stack(shape: readonly number[], parts: readonly Float32Tensor[]): Float32Tensor {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return float32(shape, data);
}
