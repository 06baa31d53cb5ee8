/**
 * The variants that this farm renders. Another one is a line here.
 */
import { cogvideox } from "./cogvideox/variant.ts";
import type { Variant } from "./variant.ts";
import { wan } from "./wan/variant.ts";

const variants = { cogvideox, wan } as const satisfies Readonly<Record<string, Variant>>;

export type VariantName = keyof typeof variants;

/** As they stand in farm.json. */
export const variantNames = Object.keys(variants) as readonly VariantName[];

/** A variant by its name in farm.json. */
export function variantOf(name: VariantName): Variant {
  return variants[name];
}
