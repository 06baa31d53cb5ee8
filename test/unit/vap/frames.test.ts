import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evenly, first, selectFrames } from "../../../services/domain/vap/frames.ts";

/** `torch.linspace(0, length - 1, 49).long()` of torch 2.13 on CPU, at lengths where exact arithmetic picks other frames. */
const torchLinspace49: readonly (readonly [number, readonly number[]])[] = [
  // prettier-ignore
  [401, [0, 8, 16, 25, 33, 41, 50, 58, 66, 75, 83, 91, 100, 108, 116, 124, 133, 141, 150, 158, 166, 175, 183, 191, 200, 208, 216, 225, 233, 241, 250, 258, 266, 275, 283, 291, 300, 308, 316, 325, 333, 341, 350, 358, 366, 375, 383, 391, 400]],
  // prettier-ignore
  [801, [0, 16, 33, 50, 66, 83, 100, 116, 133, 150, 166, 183, 200, 216, 233, 249, 266, 283, 300, 316, 333, 350, 366, 383, 400, 416, 433, 450, 466, 483, 500, 516, 533, 550, 566, 583, 600, 616, 633, 650, 666, 683, 700, 716, 733, 750, 766, 783, 800]],
  // prettier-ignore
  [1553, [0, 32, 64, 97, 129, 161, 194, 226, 258, 291, 323, 355, 388, 420, 452, 484, 517, 549, 582, 614, 646, 679, 711, 743, 776, 808, 840, 873, 905, 937, 970, 1002, 1034, 1067, 1099, 1131, 1164, 1196, 1228, 1261, 1293, 1325, 1358, 1390, 1422, 1455, 1487, 1519, 1552]],
  // prettier-ignore
  [1601, [0, 33, 66, 100, 133, 166, 200, 233, 266, 300, 333, 366, 400, 433, 466, 499, 533, 566, 600, 633, 666, 700, 733, 766, 800, 833, 866, 900, 933, 966, 1000, 1033, 1066, 1100, 1133, 1166, 1200, 1233, 1266, 1300, 1333, 1366, 1400, 1433, 1466, 1500, 1533, 1566, 1600]],
];

function exact(length: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => Math.floor((index * (length - 1)) / (count - 1)));
}

describe("frames chosen evenly", () => {
  test.each(torchLinspace49)("are torch's for a clip of %i frames, where exact arithmetic differs", (length, expected) => {
    expect(evenly(length, 49)).toEqual(expected);
    expect(exact(length, 49)).not.toEqual(expected);
  });

  test("differ from exact arithmetic by at most one frame, at no other length below 1000", () => {
    const traps = Array.from({ length: 999 }, (_, index) => index + 1).filter(
      (length) => evenly(length, 49).join() !== exact(length, 49).join(),
    );
    expect(traps).toEqual([401, 801]);
  });

  test("ascend from the first frame to the last one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 2, max: 200 }), (length, count) => {
        const frames = evenly(length, count);
        expect(frames).toHaveLength(count);
        expect(frames[0]).toBe(0);
        expect(frames.at(-1)).toBe(length - 1);
        expect(frames.every((frame, index) => frame >= (frames[index - 1] ?? 0))).toBe(true);
      }),
    );
  });

  test("are all of a clip that has just as many", () => {
    expect(evenly(49, 49)).toEqual(first(49, 49));
  });

  test("repeat frames of a clip that is shorter", () => {
    expect(evenly(3, 5)).toEqual([0, 0, 1, 1, 2]);
    expect(evenly(1, 4)).toEqual([0, 0, 0, 0]);
  });

  test("are the first frame when one is asked for", () => {
    expect(evenly(129, 1)).toEqual([0]);
  });
});

describe("the first frames", () => {
  test("are refused when the clip is too short", () => {
    expect(() => selectFrames("first", 16, 17)).toThrow(expect.objectContaining({ code: "MEDIA_TOO_SHORT" }) as Error);
    expect(selectFrames("first", 30, 3)).toEqual([0, 1, 2]);
  });

  test("of a clip without frames do not exist", () => {
    expect(() => selectFrames("evenly", 0, 3)).toThrow(expect.objectContaining({ code: "MEDIA_EMPTY" }) as Error);
  });
});
