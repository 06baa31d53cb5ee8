/**
 * Dense tensors in row-major order, as stages exchange them.
 *
 * Invariant: `data.length` is the product of `shape` (1 for a scalar). The three dtypes are those that cross a stage
 * boundary: float32 for numbers (onnxruntime-node has no bfloat16), int64 for token ids, uint8 for pixels.
 */
import { FarmError } from "../errors.ts";

export type Float32Tensor = { readonly dtype: "float32"; readonly shape: readonly number[]; readonly data: Float32Array };
export type Int64Tensor = { readonly dtype: "int64"; readonly shape: readonly number[]; readonly data: BigInt64Array };
export type Uint8Tensor = { readonly dtype: "uint8"; readonly shape: readonly number[]; readonly data: Uint8Array };

export type Tensor = Float32Tensor | Int64Tensor | Uint8Tensor;
export type TensorDtype = Tensor["dtype"];

/** Makes a float32 tensor over `data` without copying it. */
export function float32(shape: readonly number[], data: Float32Array): Float32Tensor {
  requireSize(shape, data.length);
  return { dtype: "float32", shape, data };
}

/** Makes an int64 tensor over `data` without copying it. */
export function int64(shape: readonly number[], data: BigInt64Array): Int64Tensor {
  requireSize(shape, data.length);
  return { dtype: "int64", shape, data };
}

/** Makes a uint8 tensor over `data` without copying it. */
export function uint8(shape: readonly number[], data: Uint8Array): Uint8Tensor {
  requireSize(shape, data.length);
  return { dtype: "uint8", shape, data };
}

/** Number of elements of a shape; refuses extents that are no counts. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) throw invalidShape(shape, "an extent is no count");
    count *= extent;
  }
  if (!Number.isSafeInteger(count)) throw invalidShape(shape, "it has too many elements");
  return count;
}

/** Tells whether two shapes are equal, extent by extent. */
export function sameShape(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((extent, axis) => extent === right[axis]);
}

/** Refuses a tensor whose shape is not `expected`; `name` says which one in the error. */
export function requireShape(name: string, tensor: Tensor, expected: readonly number[]): void {
  if (sameShape(tensor.shape, expected)) return;
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `tensor ${name} has shape [${tensor.shape.join(",")}], expected [${expected.join(",")}]`,
    details: { tensor: name, shape: tensor.shape, expected },
  });
}

/** The tensor as float32, or an error that names it. */
export function requireFloat32(name: string, tensor: Tensor | undefined): Float32Tensor {
  if (tensor?.dtype === "float32") return tensor;
  throw wrongDtype(name, tensor, "float32");
}

/** The tensor as int64, or an error that names it. */
export function requireInt64(name: string, tensor: Tensor | undefined): Int64Tensor {
  if (tensor?.dtype === "int64") return tensor;
  throw wrongDtype(name, tensor, "int64");
}

/** The tensor as uint8, or an error that names it. */
export function requireUint8(name: string, tensor: Tensor | undefined): Uint8Tensor {
  if (tensor?.dtype === "uint8") return tensor;
  throw wrongDtype(name, tensor, "uint8");
}

function requireSize(shape: readonly number[], length: number): void {
  if (elementCount(shape) !== length) throw invalidShape(shape, `it does not fit ${length} elements`);
}

function invalidShape(shape: readonly number[], reason: string): FarmError {
  return new FarmError("STAGE_INPUT_INVALID", {
    message: `shape [${shape.join(",")}] is refused: ${reason}`,
    details: { shape },
  });
}

function wrongDtype(name: string, tensor: Tensor | undefined, expected: TensorDtype): FarmError {
  const found = tensor === undefined ? "missing" : tensor.dtype;
  return new FarmError("STAGE_INPUT_INVALID", {
    message: `tensor ${name} is ${found}, expected ${expected}`,
    details: { tensor: name, found, expected },
  });
}
