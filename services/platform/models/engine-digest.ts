/**
 * Engine digests, recomputed from a manifest's own text.
 *
 * A digest is the SHA-256 of canonical JSON (sorted keys, no spaces, UTF-8) of constants, files and precision, as the exporter writes it. Numbers
 * are hashed as they are spelled: Python writes 1.0 where JavaScript would write 1, and parsing would lose the difference.
 */
import { createHash } from "node:crypto";

/** A number as its source spells it. */
class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** JSON.parse's reviver with the source text of primitives (ES2026), which TypeScript's library does not type yet. */
type SourceReviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Engine name → digest, of a farm.json that was validated before. */
export function engineDigests(manifestText: string): ReadonlyMap<string, string> {
  const keepNumbers: SourceReviver = (_key, value, { source }) => (typeof value === "number" ? new NumberText(source ?? String(value)) : value);
  const manifest: unknown = JSON.parse(manifestText, keepNumbers as (key: string, value: unknown) => unknown);
  const engines = Object.entries(member(manifest, "engines"));
  return new Map(engines.map(([name, engine]) => [name, digestOf(engine)]));
}

function digestOf(engine: unknown): string {
  const { constants, files, precision } = engine as Readonly<Record<string, unknown>>;
  return createHash("sha256").update(canonicalJson({ constants, files, precision })).digest("hex");
}

function canonicalJson(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
}

function member(value: unknown, key: string): Readonly<Record<string, unknown>> {
  return (value as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[key] ?? {};
}
