/**
 * HTML character references as Python's html.unescape reads them: HTML5's rules, but code points that are invalid in HTML are left out, and a
 * name that is followed by more is read as its longest beginning that is a name.
 *
 * Ported because no library agrees: `entities` and `he` keep the invalid code points, `html-entities` has other names without semicolon.
 */
import { C1_AS_WINDOWS_1252 } from "../ftfy/charmaps.ts";
import { BARE_ENTITIES, ENTITIES } from "./entities-table.ts";

/** Name with its semicolon → characters, and for some also without it. */
export const HTML5_ENTITIES: ReadonlyMap<string, string> = readTable();

const REFERENCE = /&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;
// eslint-disable-next-line no-control-regex
const NEVER_CHARACTERS = /[\u0001-\u0008\u000b\u000e-\u001f\u007f-\u009f\ufdd0-\ufdef]/u;

/** html.unescape(text). */
export function unescapeHtml(text: string): string {
  return text.replace(REFERENCE, (reference) => {
    if (!reference.startsWith("&#")) return named(reference.slice(1));
    const isHexadecimal = /^&#x/i.test(reference);
    return numbered(isHexadecimal ? parseInt(reference.slice(3), 16) : parseInt(reference.slice(2), 10));
  });
}

function numbered(code: number): string {
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  if (code === 0x0d) return "\r";
  const c1 = C1_AS_WINDOWS_1252.get(code);
  if (c1 !== undefined) return c1;
  const character = String.fromCodePoint(code);
  return (code & 0xfffe) === 0xfffe || NEVER_CHARACTERS.test(character) ? "" : character;
}

function named(name: string): string {
  const exact = HTML5_ENTITIES.get(name);
  if (exact !== undefined) return exact;
  for (let length = name.length - 1; length > 1; length -= 1) {
    const characters = HTML5_ENTITIES.get(name.slice(0, length));
    if (characters !== undefined) return characters + name.slice(length);
  }
  return `&${name}`;
}

function readTable(): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  for (const entry of ENTITIES.trim().split(/\s+/)) {
    const [name = "", codes = ""] = entry.split("=");
    table.set(`${name};`, String.fromCodePoint(...codes.split("+").map((code) => parseInt(code, 16))));
  }
  for (const name of BARE_ENTITIES.trim().split(/\s+/)) table.set(name, table.get(`${name};`) ?? "");
  return table;
}
