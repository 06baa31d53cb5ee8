/**
 * From a decoded frame, uint8 [H,W,3], to what a metric's network reads, float32 [1,3,H',W'] (vbench/utils.py clip_transform, dino_transform;
 * vbench2_beta_i2v/utils.py; vbench/imaging_quality.py transform; spec vbench §1.0, §1.7, §1.9).
 *
 * Levels are divided by 255, the mean taken off and divided by the deviation, each step a float32, as torch does it in place.
 */
import { float32, type Float32Tensor } from "../tensors/tensor.ts";
import { createResizer, type ImageSize, type ImageWindow } from "../vap/pillow-resize.ts";
import { roundHalfEven } from "../vap/round-half-even.ts";
import { createTorchResizer } from "./torch-resize.ts";

/** One frame, uint8 [height,width,3] → float32 [1,3,height',width']. */
export type FrameTransform = (pixels: Uint8Array) => Float32Tensor;

type Normalization = { readonly mean: readonly number[]; readonly std: readonly number[] };

const clipNormalization = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] };
const imageNetNormalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const inputEdge = 224;
const i2vEdge = 256;
const imagingEdge = 512;
const channels = 3;

/** The size whose short side is `edge`; the long side is cut down to a whole pixel (torchvision _compute_resized_output_size). */
export function shortSideSize({ height, width }: ImageSize, edge: number): ImageSize {
  const long = Math.trunc((edge * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? { height: long, width: edge } : { height: edge, width: long };
}

/** The middle square of a size; half pixels go to the even neighbour, as Python rounds (torchvision CenterCrop). */
export function centerCrop({ height, width }: ImageSize, edge: number): ImageWindow {
  return { height: edge, width: edge, top: roundHalfEven((height - edge) / 2), left: roundHalfEven((width - edge) / 2) };
}

/** CLIP's 224×224 input; `isRounded` where VBench resizes uint8 frames: the eight middle ones (overall_consistency, CLIP score). */
export function clipTransform(from: ImageSize, { isRounded = false }: { readonly isRounded?: boolean } = {}): FrameTransform {
  const to = shortSideSize(from, inputEdge);
  const window = centerCrop(to, inputEdge);
  const resize = createTorchResizer(from, { filter: "bicubic", to, window, isRounded });
  return (pixels) => normalized(resize(pixels), window, clipNormalization);
}

/** DINO's input: short side 224, nothing cropped. */
export function dinoTransform(from: ImageSize): FrameTransform {
  const to = shortSideSize(from, inputEdge);
  const resize = createTorchResizer(from, { filter: "bilinear", to });
  return (pixels) => normalized(resize(pixels), to, imageNetNormalization);
}

/** DINO's input in VBench-I2V, for frames: tensors, so without antialiasing (torchvision before 0.17). */
export function i2vFrameTransform(from: ImageSize): FrameTransform {
  const to = shortSideSize(from, i2vEdge);
  const window = centerCrop(to, inputEdge);
  const resize = createTorchResizer(from, { filter: "bicubic", to, window });
  return (pixels) => normalized(resize(pixels), window, imageNetNormalization);
}

/** DINO's input in VBench-I2V, for the reference image: through Pillow, so antialiased and in bytes. */
export function i2vImageTransform(from: ImageSize): FrameTransform {
  const to = shortSideSize(from, i2vEdge);
  const window = centerCrop(to, inputEdge);
  const resize = createResizer(from, { filter: "bicubic", to, window });
  return (pixels) => normalized(planar(resize(pixels), window), window, imageNetNormalization);
}

/**
 * The size of imaging_quality's mode `longer`: at most 512 at the long side. The order of operations is VBench's: for 470 sizes up to 4096 it
 * gives 511.
 */
export function imagingSize({ height, width }: ImageSize): ImageSize {
  const long = Math.max(height, width);
  if (long <= imagingEdge) return { height, width };
  return { height: Math.trunc((imagingEdge / long) * height), width: Math.trunc((imagingEdge / long) * width) };
}

/** MUSIQ's picture, 0..1: the tokens are made of it. */
export function imagingTransform(from: ImageSize): FrameTransform {
  const to = imagingSize(from);
  const resize = createTorchResizer(from, { filter: "bilinear", to });
  return (pixels) => {
    const levels = resize(pixels);
    return float32([1, channels, to.height, to.width], levels.map(unitLevel));
  };
}

function unitLevel(level: number): number {
  return level / 255;
}

function normalized(levels: Float32Array, { height, width }: ImageSize, { mean, std }: Normalization): Float32Tensor {
  const plane = height * width;
  for (let channel = 0; channel < channels; channel += 1) {
    const middle = Math.fround(mean[channel] ?? NaN);
    const deviation = Math.fround(std[channel] ?? NaN);
    for (let index = channel * plane; index < (channel + 1) * plane; index += 1) {
      levels[index] = Math.fround(Math.fround((levels[index] as number) / 255) - middle) / deviation;
    }
  }
  return float32([1, channels, height, width], levels);
}

/** uint8 [H,W,3] → float32 [3,H,W]. */
function planar(pixels: Uint8Array, { height, width }: ImageSize): Float32Array {
  const plane = height * width;
  const target = new Float32Array(channels * plane);
  for (let index = 0; index < plane; index += 1) {
    for (let channel = 0; channel < channels; channel += 1) target[channel * plane + index] = pixels[index * channels + channel] as number;
  }
  return target;
}
