/**
 * How a decoded frame becomes one of the size that a model reads.
 *
 * `stretch` is the VAE's: Lanczos to the whole size, the aspect ratio not kept (diffusers image_processor.py:500-506). `cover` is CLIP's: bicubic
 * until the shortest edge fits, then the middle (spec §1.2.4; transformers 4.57 CLIPImageProcessor, image_transforms.py
 * get_resize_output_image_size and center_crop).
 */
import { FarmError } from "../errors.ts";
import { createResizer, type ImageResizer, type ImageSize, type ImageWindow } from "./pillow-resize.ts";

export type FrameResize =
  | { readonly kind: "stretch"; readonly width: number; readonly height: number }
  | {
      readonly kind: "cover";
      /** Pixels; at least width and height. */
      readonly shortestEdge: number;
      readonly width: number;
      readonly height: number;
    };

/** Frames of one size → uint8 [resize.height,resize.width,3]. */
export function createFrameResizer(from: ImageSize, resize: FrameResize): ImageResizer {
  switch (resize.kind) {
    case "stretch":
      return createResizer(from, { filter: "lanczos", to: resize });
    case "cover": {
      const to = coverSize(from, resize.shortestEdge);
      return createResizer(from, { filter: "bicubic", to, window: centerWindow(to, resize) });
    }
  }
}

/** The size whose shortest edge is `shortestEdge`; the other edge is rounded down, as Python's int() does. */
export function coverSize({ height, width }: ImageSize, shortestEdge: number): ImageSize {
  const long = Math.trunc((shortestEdge * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? { height: long, width: shortestEdge } : { height: shortestEdge, width: long };
}

/** The middle of an image; where an odd number of rows or columns is too many, the odd one goes off the end. */
export function centerWindow(of: ImageSize, { height, width }: ImageSize): ImageWindow {
  if (height > of.height || width > of.width) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `a crop of ${width}x${height} does not fit into ${of.width}x${of.height}` });
  }
  return { height, width, top: Math.floor((of.height - height) / 2), left: Math.floor((of.width - width) / 2) };
}
