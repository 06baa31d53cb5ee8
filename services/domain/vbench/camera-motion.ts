/**
 * camera_motion of VBench-I2V after the tracker: kinds of camera motion from where a 10×10 grid of points was in the first and in the last frame
 * (vbench2_beta_i2v/camera_motion.py; spec vbench §1.9).
 *
 * Only the middle point of each side counts. A point may move in two directions, so a clip may have several kinds; VBench lists them in an order
 * that changes from run to run, here it is a fixed one.
 */
import { FarmError } from "../errors.ts";

export type TrackPoint = { readonly x: number; readonly y: number };

export const cameraMotions = ["pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "static"] as const;
export type CameraMotion = (typeof cameraMotions)[number];

export type GridTracks = {
  /** 100 points in pixels, row by row; they are cut to whole pixels, as VBench does. */
  readonly first: readonly TrackPoint[];
  readonly last: readonly TrackPoint[];
  /** Short side of the frame in pixels. */
  readonly shortSide: number;
};

type Direction = "left" | "right" | "up" | "down" | "static";

const grid = 10;
const middle = 5;
const staticShare = 0.005;

const sameOnBoth: Readonly<Record<string, CameraMotion>> = {
  "left left": "pan_right",
  "right right": "pan_left",
  "down down": "tilt_up",
  "up up": "tilt_down",
  "static static": "static",
};
const topAndBottom: Readonly<Record<string, CameraMotion>> = { ...sameOnBoth, "up down": "zoom_in", "down up": "zoom_out" };
const leftAndRight: Readonly<Record<string, CameraMotion>> = { ...sameOnBoth, "left right": "zoom_in", "right left": "zoom_out" };

/** Every kind that the sides agree on; `static` only alone; empty where VBench says "None". */
export function classifyCameraMotion(tracks: GridTracks): readonly CameraMotion[] {
  const directions = (row: number, column: number): readonly Direction[] => directionsAt(tracks, row * grid + column);
  const found = new Set([
    ...kindsOf(topAndBottom, directions(0, middle), directions(grid - 1, middle)),
    ...kindsOf(leftAndRight, directions(middle, 0), directions(middle, grid - 1)),
  ]);
  if (found.size > 1) found.delete("static");
  return cameraMotions.filter((motion) => found.has(motion));
}

function kindsOf(
  table: Readonly<Record<string, CameraMotion>>,
  one: readonly Direction[],
  other: readonly Direction[],
): readonly CameraMotion[] {
  return one.flatMap((left) => other.flatMap((right) => table[`${left} ${right}`] ?? []));
}

function directionsAt({ first, last, shortSide }: GridTracks, index: number): readonly Direction[] {
  const from = first[index];
  const to = last[index];
  if (from === undefined || to === undefined || first.length !== grid * grid || last.length !== grid * grid) {
    throw new FarmError("STAGE_INPUT_INVALID", {
      message: `tracks have ${first.length} and ${last.length} points, expected ${grid * grid}`,
    });
  }
  const least = shortSide * staticShare;
  const along = alongAxis(Math.trunc(to.x) - Math.trunc(from.x), least, ["left", "right"]);
  const down = alongAxis(Math.trunc(to.y) - Math.trunc(from.y), least, ["up", "down"]);
  const directions = [...along, ...down];
  return directions.length > 0 ? directions : ["static"];
}

function alongAxis(distance: number, least: number, [negative, positive]: readonly [Direction, Direction]): readonly Direction[] {
  if (distance > least) return [positive];
  return distance < -least ? [negative] : [];
}

const namedMotions: readonly (readonly [text: string, motion: CameraMotion])[] = [
  ["camera pans left", "pan_left"],
  ["camera pans right", "pan_right"],
  ["camera tilts up", "tilt_up"],
  ["camera tilts down", "tilt_down"],
  ["camera zooms in", "zoom_in"],
  ["camera zooms out", "zoom_out"],
  ["camera static", "static"],
];

/** The kind that a file's name asks for; VBench raises where there is none. */
export function askedCameraMotion(fileName: string): CameraMotion | undefined {
  return namedMotions.find(([text]) => fileName.includes(text))?.[1];
}
