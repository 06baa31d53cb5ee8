import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHARMAPS, encode } from "../../../services/domain/text/ftfy/charmaps.ts";
import { fixText } from "../../../services/domain/text/ftfy/fix-text.ts";
import { decodeUtf8Variants } from "../../../services/domain/text/ftfy/utf8-variants.ts";
import { unescapeHtml } from "../../../services/domain/text/html/unescape.ts";
import { nfc } from "../../../services/domain/text/unicode.ts";
import { decodeUtf8 } from "../../../services/domain/text/utf8.ts";
import { cleanWanPrompt } from "../../../services/domain/text/wan-prompt.ts";
import { joinSpaces, strip } from "../../../services/domain/text/white-space.ts";

const unicode = fc.string({ unit: "binary" });
const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

describe("white space", () => {
  it("is what Python takes for it, not what JavaScript does", () => {
    const spaces = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000";
    expect(strip(`${spaces}a${spaces}`)).toBe("a");
    expect(joinSpaces(`a${spaces}b`)).toBe("a b");
    for (const other of ["\ufeff", "\u200b", "\u180e", "\x1b"]) expect(strip(other)).toBe(other);
  });
});

describe("HTML references", () => {
  it.each([
    ["&amp;lt;", "&lt;"],
    ["&notit;", "¬it;"],
    ["&notin;", "∉"],
    ["&copy2020", "©2020"],
    ["&#x41 &#65;&#65", "A AA"],
    ["&#128;&#x81;", "€\x81"],
    ["&#1;&#xfdd0;&#xffff;", ""],
    ["&#0;&#xd800;&#x110000;&#99999999999999999999;", "\ufffd\ufffd\ufffd\ufffd"],
    ["&;&#;&#x;&nosuch;&", "&;&#;&#x;&nosuch;&"],
    ["&NotEqualTilde;", "≂̸"],
  ])("%s is read as Python reads it", (text, expected) => {
    expect(unescapeHtml(text)).toBe(expected);
  });

  it("are left alone from the first line on that has a <", () => {
    expect(fixText("&amp; a\n<b>&amp;</b>\n&amp;\n")).toBe("& a\n<b>&amp;</b>\n&amp;\n");
  });

  it("are read twice by Wan also where the text is HTML", () => {
    expect(cleanWanPrompt("<p>&amp;amp;amp;</p>")).toBe("<p>&amp;</p>");
  });
});

describe("UTF-8", () => {
  it("is decoded from the bytes of any text", () => {
    fc.assert(
      fc.property(unicode, (text) => {
        expect(decodeUtf8(bytesOf(text))).toBe(text);
        expect(decodeUtf8Variants(bytesOf(text))).toBe(text);
      }),
    );
  });

  it.each([
    "\xc0\x80",
    "\xc1\xbf",
    "\xe0\x80\x80",
    "\xed\xa0\x80",
    "\xf0\x80\x80\x80",
    "\xf4\x90\x80\x80",
    "\xf5",
    "\x80",
    "\xe2\x80",
    "\xffa",
  ])("is none where Python raises: %j", (bytes) => {
    expect(decodeUtf8(bytes)).toBeUndefined();
  });

  it("has variants: Java's null and CESU-8, and their beginnings before a last line feed", () => {
    expect(decodeUtf8Variants("a\xc0\x80b")).toBe("a\0b");
    expect(decodeUtf8Variants("\xed\xa0\xbd\xed\xb2\xa9")).toBe("💩");
    expect(decodeUtf8Variants("\xc0\n")).toBe("\0");
    expect(decodeUtf8Variants("\xc0\nx")).toBeUndefined();
    expect(decodeUtf8Variants("\xed\xa0\xbd\xed\xb2\n")?.codePointAt(0)).toBe(0x1f48a);
    expect(decodeUtf8Variants("\xed\xa0\xbd")).toBeUndefined();
  });
});

describe("mojibake", () => {
  const latin1 = CHARMAPS[0];
  const text = "– “naïve” café, 日本語 и мир ✔";

  it.each(CHARMAPS.map((charmap) => [charmap.name, charmap] as const))("of %s is undone", (_name, charmap) => {
    const read = Array.from(bytesOf(text), (byte) => charmap.characters[byte.charCodeAt(0)] ?? "").join("");
    expect(encode(read, charmap)).toBe(bytesOf(text));
    expect(fixText(read)).toBe('– "naïve" café, 日本語 и мир ✔');
  });

  it("is not seen in what people write", () => {
    for (const usual of ["Größe", "AHÅ™, the new sofa", "5×£35", "NESTLÉ®", "¬¬'", "2012—∞"]) expect(fixText(usual)).toBe(usual);
  });

  it("cannot be bytes of an encoding that lacks a character", () => {
    if (latin1 === undefined) expect.unreachable("there is Latin-1");
    expect(encode("é", latin1)).toBe("\xe9");
    expect(encode("€", latin1)).toBeUndefined();
  });
});

describe("characters newer than Unicode 14", () => {
  it("neither compose nor change places with marks, though this JavaScript knows them", () => {
    // U+11384 + U+113BB compose and U+1E5EE is a mark in Unicode 16; Python 3.11 knows none of them.
    for (const text of ["\u{11384}\u{113bb}", "a\u{1e5ee}\u0323", "\u{16d67}\u{16d67}"]) expect(nfc(text)).toBe(text);
    expect("\u{11384}\u{113bb}".normalize("NFC")).not.toBe("\u{11384}\u{113bb}");
    expect(nfc("e\u0301\u{1e030}e\u0301")).toBe("é\u{1e030}é");
  });

  it("do not make a word of mojibake", () => {
    expect(fixText("Ã®\u{10d4a}")).toBe(fixText("Ã®\u{e0100}").replace("\u{e0100}", "\u{10d4a}"));
  });
});

describe("Wan's cleaning", () => {
  it("leaves no white space but single spaces between words", () => {
    fc.assert(
      fc.property(unicode, (text) => {
        const cleaned = cleanWanPrompt(text);
        expect(joinSpaces(strip(cleaned))).toBe(cleaned);
      }),
    );
  });

  it("leaves plain words as they are", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[A-Za-z0-9.,!?'-]+$/), { maxLength: 20 }), (words) => {
        expect(cleanWanPrompt(words.join(" "))).toBe(words.join(" "));
      }),
    );
  });

  it("fixes lines of more than a million characters in parts", () => {
    const line = `${"😀".repeat(999_999)}Ã©`;
    expect(fixText(line).slice(-2)).toBe("Ã©");
    expect(fixText(line.slice(4)).slice(-1)).toBe("é");
  });

  it("gives U+FFFD for a surrogate without its other half", () => {
    expect(cleanWanPrompt("a\ud800b \udc00")).toBe("a\ufffdb \ufffd");
  });
});
