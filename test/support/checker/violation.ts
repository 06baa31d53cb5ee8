/**
 * What the checker says: which promise is broken, where, and the rows and journal lines that show it.
 */
export type Violation = {
  /** The sentence of design §4 or of the store's invariants that does not hold. */
  readonly rule: string;
  /** What it is about, e.g. "job 4f…" or "attempt 0c… of task 7 (denoise)". */
  readonly where: string;
  readonly what: string;
  /** Rows and journal lines. */
  readonly evidence: readonly unknown[];
};

/** A rule is a sentence, and how evidence is held against it. */
export type Rule<Facts> = {
  readonly sentence: string;
  readonly check: (facts: Facts) => readonly Finding[];
};

/** A violation before it is known whose rule it breaks. */
export type Finding = Omit<Violation, "rule">;
