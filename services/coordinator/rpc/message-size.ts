/**
 * Pages that fit into a message: specs may hold long texts, so a page of many may have to end early.
 */

/** Of the 4 MiB of a message; the rest is for what surrounds the list. */
const maxListBytes = 3 * 1024 * 1024;

/** How many of the first elements fit, at least one when there is one. */
export function fittingCount(sizes: Iterable<number>): number {
  let bytes = 0;
  let count = 0;
  for (const size of sizes) {
    bytes += size;
    if (count > 0 && bytes > maxListBytes) break;
    count += 1;
  }
  return count;
}
