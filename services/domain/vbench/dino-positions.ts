/**
 * DINO's positional embedding for pictures that are not its training size (facebookresearch/dino vision_transformer.py interpolate_pos_encoding;
 * spec vbench §1.1).
 *
 * The grid is resized bicubically by the factor (h' + 0.1)/G, not to a size: the scale of a read is G/(h' + 0.1), which is not G/h'. Patches that
 * do not fit whole are not counted. Only where the picture is square and has as many patches as the grid is the embedding taken as it is.
 */
import { FarmError } from "../errors.ts";
import { float32, type Float32Tensor } from "../tensors/tensor.ts";
import type { ImageSize } from "../vap/pillow-resize.ts";
import { interpolationTaps } from "./interpolation-taps.ts";

/** float32 [1,1+G·G,D] → [1,1+h'·w',D] for pixels of `size`; the class token's row stays the first. */
export function dinoPositions(embedding: Float32Tensor, size: ImageSize, patchEdge = 16): Float32Tensor {
  const { grid, depth } = gridOf(embedding);
  const rows = Math.floor(size.height / patchEdge);
  const columns = Math.floor(size.width / patchEdge);
  if (rows < 1 || columns < 1) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `${size.width}x${size.height} holds no patch of ${patchEdge}x${patchEdge}` });
  }
  if (rows * columns === grid * grid && size.height === size.width) return embedding;
  const data = new Float32Array((1 + rows * columns) * depth);
  data.set(embedding.data.subarray(0, depth));
  resizeGrid({ source: embedding.data.subarray(depth), grid, depth }, { rows, columns, target: data.subarray(depth) });
  return float32([1, 1 + rows * columns, depth], data);
}

function gridOf({ shape }: Float32Tensor): { readonly grid: number; readonly depth: number } {
  const [batch, tokens = 0, depth = 0] = shape;
  const grid = Math.round(Math.sqrt(tokens - 1));
  if (shape.length === 3 && batch === 1 && grid > 0 && grid * grid === tokens - 1) return { grid, depth };
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `positions have shape [${shape.join(",")}], expected [1,1+G*G,D]`,
    details: { shape },
  });
}

type Grid = { readonly source: Float32Array; readonly grid: number; readonly depth: number };
type GridTarget = { readonly rows: number; readonly columns: number; readonly target: Float32Array };

/** [G,G,D] → [rows,columns,D], all D of a cell with one set of weights. */
function resizeGrid({ source, grid, depth }: Grid, { rows, columns, target }: GridTarget): void {
  const vertical = axis(grid, rows);
  const horizontal = axis(grid, columns);
  const sums = new Float64Array(depth);
  for (let cell = 0; cell < rows * columns; cell += 1) {
    const row = Math.floor(cell / columns) * vertical.taps;
    const column = (cell % columns) * horizontal.taps;
    sums.fill(0);
    for (let tap = 0; tap < vertical.taps * horizontal.taps; tap += 1) {
      const y = row + Math.floor(tap / horizontal.taps);
      const x = column + (tap % horizontal.taps);
      const weight = (vertical.weights[y] ?? NaN) * (horizontal.weights[x] ?? NaN);
      const read = ((vertical.indices[y] ?? 0) * grid + (horizontal.indices[x] ?? 0)) * depth;
      for (let index = 0; index < depth; index += 1) sums[index] = (sums[index] ?? NaN) + weight * (source[read + index] ?? NaN);
    }
    target.set(sums, cell * depth);
  }
}

function axis(grid: number, patches: number): ReturnType<typeof interpolationTaps> {
  return interpolationTaps("bicubic", { inputs: grid, scale: Math.fround(grid / (patches + 0.1)), first: 0, count: patches });
}
