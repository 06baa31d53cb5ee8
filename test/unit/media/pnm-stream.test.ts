import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PnmStream } from "../../../services/platform/media/pnm-stream.ts";

type Frame = { readonly width: number; readonly height: number; readonly pixels: Uint8Array };

const frame = fc
  .record({ width: fc.integer({ min: 1, max: 12 }), height: fc.integer({ min: 1, max: 12 }), fill: fc.integer({ min: 0, max: 255 }) })
  .map(({ width, height, fill }): Frame => ({ width, height, pixels: new Uint8Array(width * height * 3).fill(fill) }));

const bytesOf = (frames: readonly Frame[]): Uint8Array =>
  Buffer.concat(frames.flatMap(({ width, height, pixels }) => [Buffer.from(`P6\n${width} ${height}\n255\n`), pixels]));

describe("PnmStream", () => {
  it("gives back the frames that went in, however they are cut into chunks", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.integer({ min: 1, max: 97 }), (frames, chunkBytes) => {
        const taken: Frame[] = [];
        const stream = new PnmStream({
          wants: ({ index }) => index % 2 === 0,
          take: ({ width, height }, pixels) => void taken.push({ width, height, pixels }),
        });
        const bytes = bytesOf(frames);
        for (let offset = 0; offset < bytes.length; offset += chunkBytes) stream.push(bytes.subarray(offset, offset + chunkBytes));
        expect(taken).toEqual(frames.filter((_, index) => index % 2 === 0));
        expect(stream.frames).toBe(frames.length);
        expect(stream.isBetweenFrames).toBe(true);
      }),
    );
  });

  it("knows that it ended within a frame", () => {
    const stream = new PnmStream({ wants: () => true, take: () => undefined });
    stream.push(bytesOf([{ width: 4, height: 4, pixels: new Uint8Array(48) }]).subarray(0, 30));
    expect(stream.isBetweenFrames).toBe(false);
  });

  it("refuses what is no PNM", () => {
    const stream = new PnmStream({ wants: () => true, take: () => undefined });
    expect(() => stream.push(new Uint8Array(100))).toThrow(expect.objectContaining({ code: "INTERNAL" }) as Error);
  });
});
