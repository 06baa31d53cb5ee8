/**
 * The last lines that a runtime wrote, fit to be told: whole lines, bounded, without what is secret in the runtime's environment.
 *
 * Pure.
 */

/** What the coordinator keeps, in characters. */
export const mostTailCharacters = 8_192;

const secretName = /SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|_KEY(_|$)|DATABASE_URL/i;
const leastSecretCharacters = 6;
/** User and password of an address, and bearer tokens. */
const secretForms: readonly (readonly [RegExp, string])[] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"]+@/gi, "$1[redacted]@"],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 [redacted]"],
];

/** The values of an environment that must not be told, longest first. */
export function secretsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  const values = Object.entries(environment).flatMap(([name, value]) => (secretName.test(name) ? [value] : []));
  return [...new Set(values)].filter((value) => value.length >= leastSecretCharacters).sort((left, right) => right.length - left.length);
}

/** The text's end. A first line that is cut is left out; a single longer one keeps its end. */
export function tailOf(text: string, secrets: readonly string[], mostCharacters = mostTailCharacters): string {
  const known = secrets.reduce((left, secret) => left.replaceAll(secret, "[redacted]"), text);
  const told = secretForms.reduce((left, [form, instead]) => left.replace(form, instead), known).replaceAll("\0", "");
  if (told.length <= mostCharacters) return told.toWellFormed();
  const cut = told.slice(-mostCharacters);
  const lineEnd = cut.indexOf("\n");
  return (lineEnd < 0 || lineEnd === cut.length - 1 ? cut : cut.slice(lineEnd + 1)).toWellFormed();
}
