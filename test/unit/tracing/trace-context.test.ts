import { parseTraceParent } from "@opentelemetry/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTraceparent, traceHeaders, traceparentOf } from "../../../services/platform/tracing/trace-context.ts";
import { isWithinShare, randomTraceId, spanIdOf, traceIdOf } from "../../../services/platform/tracing/trace-ids.ts";

const hex = (digits: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[\\da-f]{${digits}}$`));

describe("a traceparent", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, isSampled) => {
        const isValid = /[^0]/.test(traceId) && /[^0]/.test(spanId);
        const context = { traceId, spanId, isSampled };
        expect(parseTraceparent(traceparentOf(context))).toEqual(isValid ? context : undefined);
      }),
    );
  });

  it.each([
    ["nothing", undefined],
    ["an empty text", ""],
    ["capital letters", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"],
    ["a trace id of zeros", `00-${"0".repeat(32)}-b7ad6b7169203331-01`],
    ["a span id of zeros", `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`],
    ["the version that is forbidden", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["more than version 00 has", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"],
    ["a line break", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"],
    ["too little", "00-0af7651916cd43dd8448eb211c80319c-01"],
  ])("of %s is as if none had been sent", (_what, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  it("of a later version is read by its first parts", () => {
    const context = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", isSampled: true };
    expect(parseTraceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more")).toEqual(context);
  });

  it("means what it means to OpenTelemetry's own reader", () => {
    const text = fc.tuple(fc.constantFrom("00", "01", "ff", "0"), hex(32), hex(16), hex(2), fc.constantFrom("", "-x"));
    fc.assert(
      fc.property(text, ([version, traceId, spanId, flags, more]) => {
        const header = `${version}-${traceId}-${spanId}-${flags}${more}`;
        const theirs = parseTraceParent(header);
        const ours = parseTraceparent(header);
        expect(ours?.traceId).toBe(theirs?.traceId);
        expect(ours?.spanId).toBe(theirs?.spanId);
        expect(ours?.isSampled).toBe(theirs === null ? undefined : (theirs.traceFlags & 1) === 1);
      }),
    );
  });

  it("is no header without a context", () => {
    expect(traceHeaders(undefined)).toEqual({});
  });
});

describe("ids that are worked out", () => {
  it("are the same wherever they are worked out, and others for anything else", () => {
    expect(traceIdOf("job-1", 3)).toMatch(/^[\da-f]{32}$/);
    expect(traceIdOf("job-1", 3)).toBe(traceIdOf("job-1", 3));
    expect(new Set([traceIdOf("job-1", 3), traceIdOf("job-1", 4), traceIdOf("job-2", 3), traceIdOf("job-1\n3", 3)]).size).toBe(4);
    expect(spanIdOf("attempt", "a")).toMatch(/^[\da-f]{16}$/);
    expect(new Set([spanIdOf("attempt", "a"), spanIdOf("attempt", "b"), spanIdOf("wait", "a"), spanIdOf("attempta")]).size).toBe(4);
  });

  it("fall within a share as often as it says, and a larger share takes what a smaller one does", () => {
    const ids = Array.from({ length: 4_000 }, (_, position) => traceIdOf("a job", position));
    const taken = (share: number): readonly string[] => ids.filter((id) => isWithinShare(id, share));
    expect(taken(0)).toEqual([]);
    expect(taken(1)).toEqual(ids);
    // Five standard deviations of a draw of 4,000.
    expect(Math.abs(taken(0.1).length - 400)).toBeLessThan(95);
    expect(taken(0.1).filter((id) => !isWithinShare(id, 0.3))).toEqual([]);
    expect(isWithinShare(randomTraceId(), 1)).toBe(true);
  });
});
