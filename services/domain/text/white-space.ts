/**
 * White space as Python's str has it (isspace, strip, re's \s): JavaScript's own \s and trim() lack U+001C–U+001F and U+0085 and take U+FEFF.
 */

/** Inside of a regular expression's class. */
export const SPACES = "\\t-\\r\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const RUNS = new RegExp(`[${SPACES}]+`, "gu");
const ONE = new RegExp(`[${SPACES}]`, "u");

/** str.lstrip(). */
export function stripStart(text: string): string {
  let from = 0;
  while (from < text.length && ONE.test(text.charAt(from))) from += 1;
  return text.slice(from);
}

/** str.rstrip(); a loop, because a pattern that ends in $ takes quadratic time on runs of spaces. */
export function stripEnd(text: string): string {
  let to = text.length;
  while (to > 0 && ONE.test(text.charAt(to - 1))) to -= 1;
  return text.slice(0, to);
}

/** str.strip(). */
export function strip(text: string): string {
  return stripStart(stripEnd(text));
}

/** re.sub(r"\s+", " ", text). */
export function joinSpaces(text: string): string {
  return text.replace(RUNS, " ");
}
