import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinNanos, moneyText, parseNanos, splitNanos } from "../../../services/domain/money.ts";

const amount = fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n });

describe("an amount of money", () => {
  it("is the same after it went over the wire", () => {
    fc.assert(
      fc.property(amount, (nanos) => {
        const wire = splitNanos(nanos);
        expect(Math.abs(wire.nanos)).toBeLessThan(1_000_000_000);
        expect(joinNanos(wire)).toBe(nanos);
      }),
    );
  });

  it("is read from a decimal without a drift", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 12n - 1n }), fc.integer({ min: 0, max: 999_999_999 }), (units, nanos) => {
        expect(parseNanos(`${units}.${String(nanos).padStart(9, "0")}`)).toBe(units * 1_000_000_000n + BigInt(nanos));
      }),
    );
  });

  it.each([
    ["2.5", 2_500_000_000n],
    ["0.000000001", 1n],
    ["7", 7_000_000_000n],
    ["1e3", undefined],
    ["-1", undefined],
    ["1.0000000001", undefined],
    [".5", undefined],
    ["", undefined],
  ])("that a person wrote as %j is %s", (text, nanos) => {
    expect(parseNanos(text)).toBe(nanos);
  });

  it.each([
    [{ units: 1n, nanos: -1 }, undefined],
    [{ units: -1n, nanos: 1 }, undefined],
    [{ units: 0n, nanos: 1_000_000_000 }, undefined],
    [{ units: 0n, nanos: 0.5 }, undefined],
    [{ units: -1n, nanos: -500_000_000 }, -1_500_000_000n],
  ])("of the parts %o is %s", (parts, nanos) => {
    expect(joinNanos(parts)).toBe(nanos);
  });

  it.each([
    [0n, "EUR 0.00"],
    [12_500_000_000n, "EUR 12.50"],
    [1_234_500_000n, "EUR 1.2345"],
    [49_999n, "EUR 0.00"],
    [50_000n, "EUR 0.0001"],
    [-1_000_000n, "EUR -0.001"],
    [-49_999n, "EUR 0.00"],
    [999_999_950_000n, "EUR 1000.00"],
  ])("of %s nanos reads %s", (nanos, text) => {
    expect(moneyText("EUR", nanos)).toBe(text);
  });
});
