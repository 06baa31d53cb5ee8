/**
 * A range that holds nothing.
 */

/** Ends at once. */
// eslint-disable-next-line @typescript-eslint/require-await -- an iterable of nothing
export async function* emptyBytes(): AsyncGenerator<Uint8Array> {
  yield* [];
}
