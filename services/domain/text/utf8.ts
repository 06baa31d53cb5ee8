/**
 * Bytes as strings of characters U+0000–U+00FF, one each, so that regular expressions work on them; and their decoding as Python does it.
 */

/** bytes.decode("utf-8"); undefined where Python raises: overlong, cut off, surrogates, above U+10FFFF. */
export function decodeUtf8(bytes: string): string | undefined {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes.charCodeAt(at));
    const code = codePointAt(bytes, { at, length });
    if (code === undefined) return undefined;
    text += String.fromCodePoint(code);
    at += length;
  }
  return text;
}

/** Bytes of the sequence that `lead` begins; 0 where it begins none. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

const SMALLEST = [0, 0, 0x80, 0x800, 0x10000];

function codePointAt(bytes: string, { at, length }: { readonly at: number; readonly length: number }): number | undefined {
  if (length === 0 || at + length > bytes.length) return undefined;
  if (length === 1) return bytes.charCodeAt(at);
  let code = bytes.charCodeAt(at) & (0x7f >> length);
  for (let next = at + 1; next < at + length; next += 1) {
    const byte = bytes.charCodeAt(next);
    if ((byte & 0xc0) !== 0x80) return undefined;
    code = (code << 6) | (byte & 0x3f);
  }
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return code < (SMALLEST[length] ?? 0) || isSurrogate || code > 0x10ffff ? undefined : code;
}
