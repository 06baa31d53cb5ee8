/**
 * ftfy's smaller fixes, each as its function of the same name in ftfy.fixes 6.3.1.
 */
import { HTML5_ENTITIES, unescapeHtml } from "../html/unescape.ts";
import { DECIMAL_DIGIT } from "../unicode.ts";

const ENTITY = /&#?[0-9A-Za-z]{1,24};/g;
const UPPER_ENTITIES = upperEntities();
const TERMINAL_ESCAPE = new RegExp(`\\x1b\\[(?:${DECIMAL_DIGIT}|;)*[a-zA-Z]`, "gu");
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;

const LIGATURES: ReadonlyMap<string, string> = new Map([
  ["Ĳ", "IJ"],
  ["ĳ", "ij"],
  ["ŉ", "ʼn"],
  ["Ǳ", "DZ"],
  ["ǲ", "Dz"],
  ["ǳ", "dz"],
  ["Ǆ", "DŽ"],
  ["ǅ", "Dž"],
  ["ǆ", "dž"],
  ["Ǉ", "LJ"],
  ["ǈ", "Lj"],
  ["ǉ", "lj"],
  ["Ǌ", "NJ"],
  ["ǋ", "Nj"],
  ["ǌ", "nj"],
  ["ﬀ", "ff"],
  ["ﬁ", "fi"],
  ["ﬂ", "fl"],
  ["ﬃ", "ffi"],
  ["ﬄ", "ffl"],
  ["ﬅ", "ſt"],
  ["ﬆ", "st"],
]);

/** Only references with a semicolon, and some whose name was put in capitals: others may be meant as they are. */
export function unescapeEntities(text: string): string {
  return text.replace(ENTITY, (reference) => {
    if (!reference.startsWith("&#")) return HTML5_ENTITIES.get(reference.slice(1)) ?? UPPER_ENTITIES.get(reference) ?? reference;
    const characters = unescapeHtml(reference);
    return characters.includes(";") ? reference : characters;
  });
}

/** References in capitals that HTML does not know, such as &NTILDE; for Ñ. */
function upperEntities(): ReadonlyMap<string, string> {
  const entities = new Map<string, string>();
  for (const [name, characters] of HTML5_ENTITIES) {
    const upper = `&${name.toUpperCase()}`;
    if (!name.endsWith(";") || name !== name.toLowerCase() || unescapeHtml(upper) !== upper) continue;
    entities.set(upper, characters.toUpperCase());
  }
  return entities;
}

/** Such as \x1b[36m. */
export function removeTerminalEscapes(text: string): string {
  return text.replace(TERMINAL_ESCAPE, "");
}

/** Latin ligatures and digraphs, taken apart. */
export function fixLatinLigatures(text: string): string {
  return text.replace(/[Ĳĳŉ\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06]/gu, (ligature) => LIGATURES.get(ligature) ?? ligature);
}

/** Full width and half width forms, to their usual ones. */
export function fixCharacterWidth(text: string): string {
  return text.replace(/[\u3000\uff01-\uffef]/gu, (character) => character.normalize("NFKC"));
}

/** Curly quotes, straight. */
export function uncurlQuotes(text: string): string {
  return text.replace(/[\u201c-\u201f]/gu, '"').replace(/[\u02bc\u2018-\u201b]/gu, "'");
}

/** Every break of a line as a line feed. */
export function fixLineBreaks(text: string): string {
  return text.replace(/\r\n|[\r\u2028\u2029\u0085]/gu, "\n");
}

/** A surrogate without its other half is U+FFFD; pairs are characters already. */
export function fixSurrogates(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}

/** Controls that show nothing, byte order marks, and what is unsuitable in markup. */
export function removeControlCharacters(text: string): string {
  return text.replace(CONTROLS, "");
}
