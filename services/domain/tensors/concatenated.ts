/**
 * Tensors along their first axis.
 */
import { FarmError } from "../errors.ts";
import { float32, type Float32Tensor, sameShape } from "./tensor.ts";

/** float32 [a,…], [b,…], … → [a+b+…,…]; at least one, all alike but in the first extent. */
export function concatenated(tensors: readonly Float32Tensor[]): Float32Tensor {
  const [first] = tensors;
  if (first === undefined) throw new FarmError("STAGE_INPUT_INVALID", { message: "there is nothing to concatenate" });
  const rest = first.shape.slice(1);
  const wrong = tensors.find(({ shape }) => !sameShape(shape.slice(1), rest));
  if (wrong !== undefined) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `[${wrong.shape.join(",")}] does not continue [${first.shape.join(",")}]` });
  }
  const data = new Float32Array(tensors.reduce((sum, tensor) => sum + tensor.data.length, 0));
  let offset = 0;
  for (const tensor of tensors) {
    data.set(tensor.data, offset);
    offset += tensor.data.length;
  }
  return float32([tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), ...rest], data);
}
