/**
 * Which versions of models a node lets go so that another fits: those that nobody needs, the least recently used first.
 *
 * Pure: sizes and times are arguments. What an alias or a live job names is never let go, nor what is about to be pulled.
 */

/** A version that lies on the node. */
export type HeldVersion = {
  readonly reference: string;
  readonly bytes: number;
  /** When anybody last asked for it, in ms. */
  readonly usedAtMs: number;
  /** Why it must stay, e.g. "alias prod"; undefined: nobody needs it. */
  readonly neededFor: string | undefined;
};

export type BudgetDecision =
  | { readonly kind: "fits"; readonly evict: readonly HeldVersion[] }
  /** `shortBytes` are missing even with everything gone that may go. */
  | { readonly kind: "refused"; readonly shortBytes: number; readonly staying: readonly HeldVersion[] };

export type BudgetQuestion = {
  readonly held: readonly HeldVersion[];
  /** Bytes that are to come. */
  readonly neededBytes: number;
  /** Of all versions together. */
  readonly budgetBytes: number;
};

/** What to let go, no more than is needed; nothing when it cannot fit anyway. */
export function makeRoom({ held, neededBytes, budgetBytes }: BudgetQuestion): BudgetDecision {
  let excess = held.reduce((sum, { bytes }) => sum + bytes, 0) + neededBytes - budgetBytes;
  const evict: HeldVersion[] = [];
  for (const version of loose(held)) {
    if (excess <= 0) break;
    evict.push(version);
    excess -= version.bytes;
  }
  if (excess <= 0) return { kind: "fits", evict };
  return { kind: "refused", shortBytes: excess, staying: held.filter(({ neededFor }) => neededFor !== undefined) };
}

function loose(held: readonly HeldVersion[]): readonly HeldVersion[] {
  return held
    .filter(({ neededFor }) => neededFor === undefined)
    .toSorted((left, right) => left.usedAtMs - right.usedAtMs || (left.reference < right.reference ? -1 : 1));
}
