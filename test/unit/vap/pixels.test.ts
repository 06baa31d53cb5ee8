import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32, uint8 } from "../../../services/domain/tensors/tensor.ts";
import { firstFrame, pixelsToVaeInput, vaeOutputToPixels } from "../../../services/domain/vap/pixels.ts";
import { cogvideoxNames, maxDifference, openGolden, wanNames } from "../../support/golden.ts";

describe.each(cogvideoxNames)("pixels of the golden case %s", (name) => {
  const golden = openGolden(name);

  test.each(["image_pixels", "ref0_pixels", "ref0_first_pixels"])("come back as the reference's floats, bit for bit: %s", (tensor) => {
    const expected = golden.float32(tensor);
    const pixels = vaeOutputToPixels(expected);
    expect(pixels.shape).toEqual([expected.shape[2], 48, 64, 3]);
    const back = pixelsToVaeInput(pixels, pixels.shape[0] ?? 0);
    expect(back.shape).toEqual(expected.shape);
    expect(maxDifference(back.data, expected.data)).toBe(0);
  });

  test("are the reference's bytes after decoding", () => {
    const frames = golden.float32("frames");
    const [count = 0, , height = 0, width = 0] = frames.shape;
    const plane = height * width;
    const output = new Float32Array(frames.data.length);
    for (let frame = 0; frame < count; frame += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        const source = frames.data.subarray((frame * 3 + channel) * plane, (frame * 3 + channel + 1) * plane);
        output.set(
          source.map((unit) => 2 * unit - 1),
          (channel * count + frame) * plane,
        );
      }
    }
    const pixels = vaeOutputToPixels(float32([1, 3, count, height, width], output));
    expect(pixels.shape).toEqual(golden.uint8("frames_u8").shape);
    expect(maxDifference(pixels.data, golden.uint8("frames_u8").data)).toBe(0);
  });
});

describe.each(wanNames)("pixels of the golden case %s", (name) => {
  const golden = openGolden(name);

  test.each([
    ["vae0_pixels", 1],
    ["vae1_pixels", 17],
    ["vae2_pixels", 1],
  ] as const)("come back as the reference's floats, mid-grey frames included, bit for bit: %s", (tensor, own) => {
    const expected = golden.float32(tensor);
    const pixels = vaeOutputToPixels(expected);
    const given = uint8([own, 48, 64, 3], pixels.data.subarray(0, own * 48 * 64 * 3));
    const back = pixelsToVaeInput(given, 17);
    expect(back.shape).toEqual(expected.shape);
    expect(maxDifference(back.data, expected.data)).toBe(0);
  });
});

describe("pixels", () => {
  test("survive the way to floats and back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (bytes) => {
        const pixels = uint8([2, 2, 2, 3], bytes);
        expect(vaeOutputToPixels(pixelsToVaeInput(pixels, 2))).toEqual(pixels);
      }),
    );
  });

  test("are clamped when the decoder leaves −1..1", () => {
    const { data } = vaeOutputToPixels(float32([1, 3, 1, 1, 1], new Float32Array([-1.5, 0, 7])));
    expect([...data]).toEqual([0, 128, 255]);
  });

  test("round ties to the even level, as numpy does", () => {
    // 0.5 · 255 = 127.5 exactly: the even neighbour is 128; 0.1 and 0.9 of the way lie beside ties.
    expect([...vaeOutputToPixels(float32([1, 3, 1, 1, 1], new Float32Array([0, 0, 0]))).data]).toEqual([128, 128, 128]);
  });

  test("that are not finite fail the stage", () => {
    const output = float32([1, 3, 1, 1, 1], new Float32Array([0, NaN, 0]));
    expect(() => vaeOutputToPixels(output)).toThrow(expect.objectContaining({ code: "STAGE_NOT_FINITE" }) as Error);
  });

  test("of another layout are refused", () => {
    const refused = expect.objectContaining({ code: "STAGE_INPUT_INVALID" }) as Error;
    expect(() => pixelsToVaeInput(uint8([2, 2, 3], new Uint8Array(12)), 2)).toThrow(refused);
    expect(() => pixelsToVaeInput(uint8([2, 1, 1, 3], new Uint8Array(6)), 1)).toThrow(refused);
    expect(() => vaeOutputToPixels(float32([1, 4, 1, 1, 1], new Float32Array(4)))).toThrow(refused);
  });

  test("of the first frame are the clip's first bytes", () => {
    const clip = uint8([2, 1, 1, 3], new Uint8Array([1, 2, 3, 4, 5, 6]));
    expect(firstFrame(clip)).toEqual(uint8([1, 1, 1, 3], new Uint8Array([1, 2, 3])));
  });
});
