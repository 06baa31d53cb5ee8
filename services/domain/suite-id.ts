/**
 * What a suite is named by, and the seeds of its rows: both from the rows' content alone.
 *
 * Invariants: where rows came from (paths, lines of a file) changes neither; every field of content, and the order of the rows, changes the
 * id; a row's seed depends on no other row, so that a part of a suite, or the same rows in another order, is rendered as before. The hash is an
 * argument, as of content-key.ts. Server and client compute the same.
 */
import { canonicalJson, type Sha256Function } from "./content-key.ts";

/** Raised when the encoding changes: every id and every seed changes with it. */
const suiteVersion = 1;
const seedRange = 2n ** 32n;
/** Odd, so that its multiples go through all of 32 bits before one comes again; floor(2^32 / golden ratio). */
const seedStep = 2_654_435_769n;

/** What a row is made of, its seed apart. */
export type RowContent = {
  /** SHA-256 of the target clip, hex. */
  readonly targetSha256: string;
  readonly referenceSha256s: readonly string[];
  readonly caption: string;
  readonly referenceCaptions: readonly string[];
  readonly kind: string;
};

/** What a row of a suite is named by. */
export type SeededRow = RowContent & { readonly seed: bigint };

/** The digest of one row (hex), of which `suiteIdOf` makes the suite's id. */
export function rowDigest(row: SeededRow, sha256: Sha256Function): string {
  return hashOf({ ...contentOf(row), seed: row.seed.toString() }, sha256);
}

/** The id of the suite whose rows have these digests, in order; hex. */
export function suiteIdOf(rowDigests: readonly string[], sha256: Sha256Function): string {
  return sha256(new TextEncoder().encode(`suite ${suiteVersion}\n${rowDigests.join("\n")}\n`));
}

/** The id of the suite of these rows; hex. */
export function suiteId(rows: Iterable<SeededRow>, sha256: Sha256Function): string {
  return suiteIdOf(
    Array.from(rows, (row) => rowDigest(row, sha256)),
    sha256,
  );
}

/** The seed of a row that names none, 0 .. 2^32-1: torch's CPU generator uses no more. */
export function rowSeed(content: RowContent, baseSeed: bigint, sha256: Sha256Function): bigint {
  const digest = hashOf({ ...contentOf(content), baseSeed: baseSeed.toString() }, sha256);
  return BigInt(`0x${digest.slice(0, 8)}`);
}

/** The seed of a row's render: the row's own, then others of 32 bits, all different for one row. */
export function seedOf(ownSeed: bigint, seedIndex: number): bigint {
  return seedIndex === 0 ? ownSeed : (ownSeed + BigInt(seedIndex) * seedStep) % seedRange;
}

function contentOf({ targetSha256, referenceSha256s, caption, referenceCaptions, kind }: RowContent): RowContent {
  return { targetSha256, referenceSha256s, caption, referenceCaptions, kind };
}

/** Of one canonical JSON line. */
function hashOf(line: object, sha256: Sha256Function): string {
  return sha256(new TextEncoder().encode(`${canonicalJson({ suiteVersion, ...line })}\n`));
}
