/**
 * One picture of a whole render: a column per reference, one for the image, one for the result; time goes down.
 *
 * It shows what the model saw (frames chosen and resized as `prepare` does), and says so when the weights are random.
 */
import sharp from "sharp";
import type { Uint8Tensor } from "../../domain/tensors/tensor.ts";
import { evenly } from "../../domain/vap/frames.ts";
import { createPicture, drawLabel, fitText, type Picture, placeTile, type Rgb } from "./canvas.ts";

/** One video of the sheet. */
export type SheetColumn = {
  readonly title: string;
  readonly subtitle: string;
  /** uint8 [frames,height,width,3]; one frame for an image. */
  readonly frames: Uint8Tensor;
};

/** Everything on the sheet. */
export type SheetContent = {
  readonly title: string;
  readonly columns: readonly SheetColumn[];
  readonly fps: number;
  /** E.g. that the weights are random. */
  readonly warnings: readonly string[];
};

/** What to say of a model whose weights are random. */
export const randomWeightsNote = "random weights: output is noise by design";

const timeRows = 4;
const tileWidth = 240;
const gap = 12;
const textScale = 2;
const lineHeight = 22;
const background: Rgb = [24, 26, 32];
const bright: Rgb = [236, 238, 242];
const dim: Rgb = [150, 156, 168];
const alarming: Rgb = [255, 176, 64];

/** PNG bytes of the sheet. */
export async function drawContactSheet(content: SheetContent): Promise<Buffer> {
  const columns = await Promise.all(content.columns.map(async (column) => ({ ...column, tiles: await tilesOf(column) })));
  const tileHeight = Math.max(...columns.map(({ tiles }) => tiles[0]?.picture.height ?? 0));
  const width = gap + columns.length * (tileWidth + gap);
  const headHeight = 2 * gap + lineHeight * (1 + content.warnings.length);
  const top = headHeight + lineHeight * 2;
  const sheet = createPicture(width, top + timeRows * (tileHeight + lineHeight) + gap, background);
  drawHead(sheet, content);
  for (const [index, column] of columns.entries()) {
    const x = gap + index * (tileWidth + gap);
    drawLabel(sheet, { text: fitText(column.title, textScale, tileWidth), x, y: headHeight, scale: textScale, color: bright });
    drawLabel(sheet, { text: fitText(column.subtitle, 1, tileWidth), x, y: headHeight + lineHeight, scale: 1, color: dim });
    for (const [row, { picture, frame }] of column.tiles.entries()) {
      const y = top + row * (tileHeight + lineHeight);
      placeTile(sheet, picture, { x, y });
      if (column.tiles.length > 1) drawTime(sheet, { x, y: y + tileHeight + 4, ms: (frame * 1000) / content.fps, frame });
    }
  }
  const { pixels, height } = sheet;
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } });
  return picture.png({ compressionLevel: 9 }).toBuffer();
}

function drawHead(sheet: Picture, { title, warnings }: SheetContent): void {
  const room = sheet.width - 2 * gap;
  drawLabel(sheet, { text: fitText(title, textScale, room), x: gap, y: gap, scale: textScale, color: bright });
  for (const [index, text] of warnings.entries()) {
    const y = gap + lineHeight * (index + 1);
    drawLabel(sheet, { text: fitText(text, textScale, room), x: gap, y, scale: textScale, color: alarming });
  }
}

function drawTime(sheet: Picture, at: { readonly x: number; readonly y: number; readonly ms: number; readonly frame: number }): void {
  const text = `${(at.ms / 1000).toFixed(2)} s, frame ${at.frame}`;
  drawLabel(sheet, { text, x: at.x, y: at.y, scale: 1, color: dim });
}

type Tile = { readonly picture: Picture; readonly frame: number };

/** Frames spread over the clip, enlarged without smoothing so that small models do not look better than they are. */
async function tilesOf({ frames }: SheetColumn): Promise<readonly Tile[]> {
  const [count = 1, height = 1, width = 1] = frames.shape;
  const frameBytes = height * width * 3;
  const chosen = count === 1 ? [0] : evenly(count, timeRows);
  const tileHeight = Math.max(1, Math.round((tileWidth * height) / width));
  return Promise.all(
    chosen.map(async (frame) => {
      const data = frames.data.subarray(frame * frameBytes, (frame + 1) * frameBytes);
      const kernel = width < tileWidth ? "nearest" : "lanczos3";
      const image = sharp(data, { raw: { width, height, channels: 3 } }).resize(tileWidth, tileHeight, { kernel, fit: "fill" });
      const pixels = await image.removeAlpha().raw().toBuffer();
      return { frame, picture: { width: tileWidth, height: tileHeight, pixels } };
    }),
  );
}
