/**
 * Amounts of money as whole billionths of a currency's unit ("nanos"): they add up without drift, in any order.
 *
 * Pure. On the wire an amount is units and nanos, as in google.type.Money; people write and read decimals.
 */

/** Billionths in one unit. */
export const nanosPerUnit = 1_000_000_000n;
/** What an amount may be at most, in units: a price, or a budget. */
export const maxUnits = 1_000_000_000n;

const fractionDigits = 9;
/** People see no more of an amount than this; sums are made before it is rounded. */
const shownDigits = 4;
const leastDigits = 2;

/** An ISO 4217 code, such as "EUR". */
export function isCurrency(text: string): boolean {
  return /^[A-Z]{3}$/.test(text);
}

/** "2.5" → nanos; undefined for what is no decimal number that is not negative and has at most nine decimals. */
export function parseNanos(text: string): bigint | undefined {
  const match = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [, units = "", fraction = ""] = match;
  return BigInt(units) * nanosPerUnit + BigInt(fraction.padEnd(fractionDigits, "0"));
}

/** As the wire has it: both parts have the amount's sign. */
export function splitNanos(nanos: bigint): { readonly units: bigint; readonly nanos: number } {
  return { units: nanos / nanosPerUnit, nanos: Number(nanos % nanosPerUnit) };
}

/** The amount that the wire's two parts are; undefined when they are not one: of other signs, or nanos beyond a unit. */
export function joinNanos({ units, nanos }: { readonly units: bigint; readonly nanos: number }): bigint | undefined {
  if (!Number.isInteger(nanos) || Math.abs(nanos) >= Number(nanosPerUnit)) return undefined;
  if ((units > 0n && nanos < 0) || (units < 0n && nanos > 0)) return undefined;
  return units * nanosPerUnit + BigInt(nanos);
}

/** For people: "EUR 12.50", rounded half away from zero to four decimals, of which two are always shown. */
export function moneyText(currency: string, nanos: bigint): string {
  const step = 10n ** BigInt(fractionDigits - shownDigits);
  const size = nanos < 0n ? -nanos : nanos;
  const rounded = (size + step / 2n) / step;
  const scale = 10n ** BigInt(shownDigits);
  const fraction = (rounded % scale).toString().padStart(shownDigits, "0");
  const shown = fraction.slice(0, leastDigits) + fraction.slice(leastDigits).replace(/0+$/, "");
  return `${currency} ${nanos < 0n && rounded > 0n ? "-" : ""}${rounded / scale}.${shown}`;
}
