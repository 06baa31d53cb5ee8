/**
 * The encodings of one byte that ftfy takes mojibake apart with. A sloppy one gives each byte that is not assigned the character of Latin-1, and
 * lets byte 1A stand for U+FFFD: information that was lost before.
 */
import { CHARMAPS as TABLE } from "./charmaps-table.ts";

export type Charmap = {
  readonly name: (typeof TABLE)[number][0];
  readonly isSloppy: boolean;
  readonly bytes: ReadonlyMap<string, string>;
  readonly characters: readonly string[];
};

/** In the order in which they are tried. */
export const CHARMAPS: readonly Charmap[] = TABLE.map(([name, upper]) => {
  const isSloppy = name.startsWith("sloppy-");
  const characters = Array.from({ length: 256 }, (_, byte) => {
    if (byte === 0x1a && isSloppy) return "\ufffd";
    return byte < 0x80 ? String.fromCharCode(byte) : upper.charAt(byte - 0x80);
  });
  return { name, isSloppy, characters, bytes: new Map(characters.map((character, byte) => [character, String.fromCharCode(byte)])) };
});

const WINDOWS_1252 = CHARMAPS.find(({ name }) => name === "sloppy-windows-1252")?.characters ?? [];

/** C1 controls' code points → the characters that Windows-1252 has there. */
export const C1_AS_WINDOWS_1252: ReadonlyMap<number, string> = new Map(
  Array.from({ length: 32 }, (_, index) => [0x80 + index, WINDOWS_1252[0x80 + index] ?? ""]),
);

/** Bytes of `text`; undefined if the encoding lacks one of its characters. */
export function encode(text: string, charmap: Charmap): string | undefined {
  let bytes = "";
  for (const character of text) {
    const byte = charmap.bytes.get(character);
    if (byte === undefined) return undefined;
    bytes += byte;
  }
  return bytes;
}

/** Each C1 control as what Windows-1252 has at its place. */
export function fixC1Controls(text: string): string {
  return text.replace(/[\u0080-\u009f]/gu, (control) => C1_AS_WINDOWS_1252.get(control.charCodeAt(0)) ?? control);
}
