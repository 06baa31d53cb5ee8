/**
 * How a render names a model: `cog`, `cog@prod` or `cog:1a2b3c4d5e6f`.
 *
 * A bare name is a plain folder's model, or else what the alias `prod` names. What a job keeps is never an alias: a plain folder's name, or a
 * pinned reference, name and version. Names hold neither ':' nor '@', so each reference reads in one way.
 */

/** Hexadecimal digits of a version: the first of its digest. */
export const versionDigits = 12;
/** What a bare name means where there is no plain folder. */
export const defaultAlias = "prod";

const namePattern = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}";
const aliasPattern = "[A-Za-z0-9][A-Za-z0-9._-]{0,39}";
const referencePattern = new RegExp(`^(?<name>${namePattern})(?:@(?<alias>${aliasPattern})|:(?<version>[0-9a-f]{${versionDigits}}))?$`);

/** A reference taken apart. */
export type ModelReference =
  | { readonly kind: "bare"; readonly name: string }
  | { readonly kind: "alias"; readonly name: string; readonly alias: string }
  | { readonly kind: "version"; readonly name: string; readonly version: string };

/** Undefined for what is no reference. */
export function parseModelReference(text: string): ModelReference | undefined {
  const groups = referencePattern.exec(text)?.groups;
  const name = groups?.["name"];
  if (name === undefined) return undefined;
  const { alias, version } = groups ?? {};
  if (alias !== undefined) return { kind: "alias", name, alias };
  return version === undefined ? { kind: "bare", name } : { kind: "version", name, version };
}

/** Whether a text can be a model's name. */
export function isModelName(text: string): boolean {
  return parseModelReference(text)?.kind === "bare";
}

/** Whether a text can be an alias. */
export function isModelAlias(text: string): boolean {
  return parseModelReference(`x@${text}`)?.kind === "alias";
}

/** The reference of one version, which a job is pinned to. */
export function pinnedReference(name: string, version: string): string {
  return `${name}:${version}`;
}

/** The reference that moves. */
export function aliasReference(name: string, alias: string): string {
  return `${name}@${alias}`;
}

/** Name of the folder that holds a version on a node. */
export function versionFolder(name: string, version: string): string {
  return `${name}@${version}`;
}

/** What a folder's name says of the version in it; undefined: it is a plain folder. */
export function versionOfFolder(folder: string): { readonly name: string; readonly version: string } | undefined {
  const [name = "", version = "", ...rest] = folder.split("@");
  const reference = rest.length === 0 ? parseModelReference(pinnedReference(name, version)) : undefined;
  return reference?.kind === "version" ? { name: reference.name, version: reference.version } : undefined;
}
