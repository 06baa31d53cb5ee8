/**
 * Draws the demo's own media, so that the project ships nobody else's: demo/clip.mp4 (a ball inflates and rises) and
 * demo/image.png (a pot on the same table). Run: node tools/make-demo-media.ts; the results are committed.
 */
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { uint8 } from "../services/domain/tensors/tensor.ts";
import { encodeMp4 } from "../services/platform/media/encode-mp4.ts";
import { findFfmpeg } from "../services/platform/programs/ffmpeg.ts";

const width = 320;
const height = 240;
const frames = 32;
const fps = 16;
const horizon = 168;

type Rgb = readonly [number, number, number];
type Shade = { readonly color: Rgb; readonly cover: number };

const root = fileURLToPath(new URL("..", import.meta.url));

function mix(from: Rgb, to: Rgb, amount: number): Rgb {
  const share = Math.min(1, Math.max(0, amount));
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share, from[2] + (to[2] - from[2]) * share];
}

/** Wall above, table below, light from the upper left. */
function room(x: number, y: number): Rgb {
  if (y < horizon) return mix([70, 96, 134], [188, 206, 214], y / horizon - x / 900);
  return mix([150, 104, 66], [92, 58, 36], (y - horizon) / (height - horizon) + Math.sin((x + y * 3) / 23) * 0.06);
}

/** A soft shadow on the table. */
function shadow(x: number, y: number, spot: { readonly x: number; readonly radius: number; readonly strength: number }): number {
  const distance = Math.hypot((x - spot.x) / spot.radius, (y - horizon - 24) / (spot.radius * 0.28));
  return spot.strength * Math.max(0, 1 - distance);
}

/** A lit ball; `cover` is 0 outside, 1 inside, with a soft edge. */
function ball(x: number, y: number, at: { readonly x: number; readonly y: number; readonly radius: number }): Shade {
  const [dx, dy] = [(x - at.x) / at.radius, (y - at.y) / at.radius];
  const distance = Math.hypot(dx, dy);
  const depth = Math.sqrt(Math.max(0, 1 - distance * distance));
  const light = Math.max(0, -0.5 * dx - 0.6 * dy + 0.62 * depth);
  const stripe = Math.sin(Math.atan2(dx, depth + 0.2) * 6) > 0 ? ([226, 78, 58] as const) : ([244, 226, 196] as const);
  const color = mix(mix([36, 14, 22], stripe, 0.25 + light), [255, 255, 255], light > 0.94 ? (light - 0.94) * 9 : 0);
  return { color, cover: Math.min(1, Math.max(0, (1 - distance) * at.radius)) };
}

/** A pot: radius by height, shaded as a body of revolution. */
function pot(x: number, y: number): Shade {
  const level = (y - 84) / 108;
  if (level < 0 || level > 1) return { color: [0, 0, 0], cover: 0 };
  const radius = level < 0.12 ? 40 : 34 + 34 * Math.sin(Math.PI * Math.min(1, level * 0.92 + 0.06)) * (1 - level * 0.25);
  const across = (x - 160) / radius;
  const depth = Math.sqrt(Math.max(0, 1 - across * across));
  const light = 0.24 + Math.max(0, -0.55 * across + 0.75 * depth) * (1.05 - level * 0.3);
  const band = Math.abs(level - 0.45) < 0.05 ? ([238, 214, 150] as const) : ([54, 132, 128] as const);
  return { color: mix([10, 26, 32], band, light), cover: Math.min(1, Math.max(0, (1 - Math.abs(across)) * radius)) };
}

function draw(colorOf: (x: number, y: number) => Rgb): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) pixels.set(colorOf(x, y).map(Math.round), (y * width + x) * 3);
  }
  return pixels;
}

function clipFrame(index: number): Uint8Array {
  const time = index / (frames - 1);
  const eased = time * time * (3 - 2 * time);
  const at = { x: 160 + Math.sin(time * 5) * 9 * eased, y: 168 - eased * 92, radius: 24 + eased * 34 };
  const spot = { x: at.x + 18, radius: 52 + eased * 44, strength: 0.62 - eased * 0.46 };
  return draw((x, y) => {
    const { color, cover } = ball(x, y, at);
    return mix(mix(room(x, y), [22, 14, 12], y < horizon ? 0 : shadow(x, y, spot)), color, cover);
  });
}

function stillImage(): Uint8Array {
  const spot = { x: 182, radius: 92, strength: 0.6 };
  return draw((x, y) => {
    const { color, cover } = pot(x, y);
    return mix(mix(room(x, y), [22, 14, 12], y < horizon ? 0 : shadow(x, y, spot)), color, cover);
  });
}

const ffmpeg = await findFfmpeg({ configured: undefined, cacheFolder: `${root}.cache`, searchPath: undefined });
const clip = new Uint8Array(frames * width * height * 3);
for (let index = 0; index < frames; index += 1) clip.set(clipFrame(index), index * width * height * 3);
await encodeMp4({
  ffmpegPath: ffmpeg.path,
  frames: uint8([frames, height, width, 3], clip),
  fps,
  path: `${root}demo/clip.mp4`,
  signal: new AbortController().signal,
});
await sharp(stillImage(), { raw: { width, height, channels: 3 } })
  .png({ compressionLevel: 9 })
  .toFile(`${root}demo/image.png`);
