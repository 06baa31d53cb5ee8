/**
 * MUSIQ's input: a picture at two small scales and its own, cut into patches of 32×32, each a token (pyiqa multiscale_trans_util.py; google-research
 * musiq; spec vbench §1.7).
 *
 * A token is 3072 pixels in the order (channel, row, column), then the cell of a 10×10 grid that its place hashes to, its scale (0, 1: small; 2: own)
 * and a mask (1: real). The small scales are filled up with all-zero tokens to 49 and 144; the own scale has as many as the picture needs.
 */
import { FarmError } from "../errors.ts";
import { float32, type Float32Tensor } from "../tensors/tensor.ts";
import type { ImageSize } from "../vap/pillow-resize.ts";
import { roundHalfEven } from "../vap/round-half-even.ts";
import { createTorchResizer } from "./torch-resize.ts";

const channels = 3;
const patchEdge = 32;
const patchValues = channels * patchEdge * patchEdge;
const hashEdge = 10;
const longSides = [224, 384] as const;

/** Values of a token. */
export const musiqTokenLength = patchValues + 3;

/** One scale of the picture. */
type Scale = ImageSize & { readonly tokens: number };

/** Tokens of a picture of this size, filling included. */
export function musiqTokenCount(size: ImageSize): number {
  return scalesOf(size).reduce((sum, { tokens }) => sum + tokens, 0);
}

/** float32 [1,3,H,W] in 0..1 (`imagingTransform`) → float32 [1,S,3075]. */
export function musiqTokens(picture: Float32Tensor): Float32Tensor {
  const [batch, depth, height = 0, width = 0] = picture.shape;
  if (batch !== 1 || depth !== channels || picture.shape.length !== 4) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `a picture has shape [${picture.shape.join(",")}], expected [1,3,H,W]` });
  }
  const centered = picture.data.map((value) => Math.fround(value - 0.5) * 2);
  const count = musiqTokenCount({ height, width });
  const data = new Float32Array(count * musiqTokenLength);
  let first = 0;
  scalesOf({ height, width }).forEach((scale, id) => {
    const isOwn = id === longSides.length;
    const pixels = isOwn ? centered : createTorchResizer({ height, width }, { filter: "bicubic", to: scale })(centered);
    writeTokens({ pixels, scale, id }, data.subarray(first * musiqTokenLength));
    first += scale.tokens;
  });
  return float32([1, count, musiqTokenLength], data);
}

function scalesOf({ height, width }: ImageSize): readonly Scale[] {
  const small = longSides.map((longSide) => {
    const ratio = longSide / Math.max(height, width);
    const filled = Math.ceil(longSide / patchEdge) ** 2;
    return { height: roundHalfEven(height * ratio), width: roundHalfEven(width * ratio), tokens: filled };
  });
  for (const scale of small) {
    if (scale.height >= 1 && scale.width >= 1) continue;
    throw new FarmError("STAGE_INPUT_INVALID", {
      message: `${width}x${height} is too narrow: nothing is left of it at MUSIQ's small scales`,
    });
  }
  return [...small, { height, width, tokens: Math.ceil(height / patchEdge) * Math.ceil(width / patchEdge) }];
}

type ScaledPicture = { readonly pixels: Float32Array; readonly scale: Scale; readonly id: number };

/** Zeros on all sides make whole patches; the odd one goes to the end (TF's "SAME"). */
function writeTokens({ pixels, scale, id }: ScaledPicture, target: Float32Array): void {
  const { height, width } = scale;
  const rows = Math.ceil(height / patchEdge);
  const columns = Math.ceil(width / patchEdge);
  const top = Math.floor((rows * patchEdge - height) / 2);
  const left = Math.floor((columns * patchEdge - width) / 2);
  for (let patch = 0; patch < rows * columns; patch += 1) {
    const row = Math.floor(patch / columns);
    const column = patch % columns;
    const token = target.subarray(patch * musiqTokenLength, (patch + 1) * musiqTokenLength);
    copyPatch({ pixels, height, width }, { top: row * patchEdge - top, left: column * patchEdge - left }, token);
    token[patchValues] = hashed(row, rows) * hashEdge + hashed(column, columns);
    token[patchValues + 1] = id;
    token[patchValues + 2] = 1;
  }
}

function copyPatch(
  { pixels, height, width }: ImageSize & { readonly pixels: Float32Array },
  { top, left }: { readonly top: number; readonly left: number },
  token: Float32Array,
): void {
  const from = Math.max(left, 0);
  const to = Math.min(left + patchEdge, width);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let row = Math.max(top, 0); row < Math.min(top + patchEdge, height); row += 1) {
      const read = (channel * height + row) * width;
      token.set(pixels.subarray(read + from, read + to), (channel * patchEdge + row - top) * patchEdge + from - left);
    }
  }
}

/** Which of ten cells patch `index` of `count` is in: F.interpolate(arange(10), count, mode="nearest"), in float32. */
function hashed(index: number, count: number): number {
  return Math.min(Math.floor(Math.fround(index * Math.fround(hashEdge / count))), hashEdge - 1);
}
