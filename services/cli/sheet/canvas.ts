/**
 * A small RGB picture in memory: fill, place tiles, write labels.
 */
import { glyphHeight, glyphWidth, isInked } from "./glyphs.ts";

/** Each from 0 to 255. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** uint8 [height,width,3]. */
export type Picture = { readonly width: number; readonly height: number; readonly pixels: Uint8Array };

/** Text at a place; `scale` picture pixels per glyph pixel. */
export type Label = { readonly text: string; readonly x: number; readonly y: number; readonly scale: number; readonly color: Rgb };

/** A picture of one colour. */
export function createPicture(width: number, height: number, color: Rgb): Picture {
  const pixels = new Uint8Array(width * height * 3);
  for (let index = 0; index < pixels.length; index += 3) pixels.set(color, index);
  return { width, height, pixels };
}

/** Copies a tile into the picture; what lies outside is cut. */
export function placeTile(picture: Picture, tile: Picture, at: { readonly x: number; readonly y: number }): void {
  const columns = Math.max(0, Math.min(tile.width, picture.width - at.x));
  for (let row = 0; row < tile.height && at.y + row < picture.height; row += 1) {
    const from = row * tile.width * 3;
    picture.pixels.set(tile.pixels.subarray(from, from + columns * 3), ((at.y + row) * picture.width + at.x) * 3);
  }
}

/** Width of a label in picture pixels. */
export function labelWidth(text: string, scale: number): number {
  return text.length * (glyphWidth + 1) * scale;
}

/** The text, cut with dots to what fits. */
export function fitText(text: string, scale: number, widthPixels: number): string {
  const most = Math.floor(widthPixels / ((glyphWidth + 1) * scale));
  return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 2))}..`;
}

/** Writes a label. */
export function drawLabel(picture: Picture, label: Label): void {
  for (const [position, character] of Array.from(label.text).entries()) {
    const x = label.x + position * (glyphWidth + 1) * label.scale;
    for (let column = 0; column < glyphWidth; column += 1) {
      for (let row = 0; row < glyphHeight; row += 1) {
        if (isInked(character, column, row)) fillSquare(picture, { ...label, x: x + column * label.scale, y: label.y + row * label.scale });
      }
    }
  }
}

function fillSquare(picture: Picture, { x, y, scale, color }: Label): void {
  for (let row = y; row < Math.min(y + scale, picture.height); row += 1) {
    for (let column = x; column < Math.min(x + scale, picture.width); column += 1) {
      picture.pixels.set(color, (row * picture.width + column) * 3);
    }
  }
}
