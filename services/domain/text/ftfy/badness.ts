/**
 * Does text look like mojibake? ftfy's heuristic (ftfy.badness 6.3.1): juxtapositions of kinds of characters that people do not write.
 */
import { SPACES } from "../white-space.ts";
import { WORD_CHARACTER } from "../unicode.ts";
import { MOJIBAKE } from "./mojibake-table.ts";

type Kind = keyof typeof MOJIBAKE;

/** A class of all characters of the kinds, and of `more`. */
const any = (kinds: readonly Kind[], more = ""): string => `[${kinds.map((kind) => MOJIBAKE[kind]).join("")}${more}]`;

const ACCENTED: readonly Kind[] = ["lower_accented", "upper_accented"];
const QUOTES: readonly Kind[] = ["start_punctuation", "end_punctuation"];
const MARKED: readonly Kind[] = [...ACCENTED, "box", ...QUOTES, "currency", "numeric", "law"];
const SPACE = `[${SPACES}]`;
const ARABIC = `[ØÙ]${any(["common", "currency", "bad", "numeric", "start_punctuation"], "ŸŠ®°µ»")}`;

/** Kinds next to each other. */
const GENERAL: readonly string[] = [
  any(["c1"]),
  any(["bad", ...MARKED]) + any(["bad"]),
  `[a-zA-Z]${any(["lower_common", "upper_common"])}${any(["bad"])}`,
  any(["bad"]) + any(MARKED),
  any(["lower_accented", "lower_common", "box", "end_punctuation", "currency", "numeric"]) + any(["upper_accented"]),
  any(["box", "end_punctuation", "currency", "numeric"]) + any(["lower_accented"]),
  any(["lower_accented", "box", "end_punctuation"]) + any(["currency"]),
  SPACE + any(["upper_accented"]) + any(["currency"]),
  any(["upper_accented", "box"]) + any(["numeric", "law"]),
  any([...ACCENTED, "box", "currency", "end_punctuation"]) + any(["start_punctuation"]) + any(["numeric"]),
  any([...ACCENTED, "currency", "numeric", "box", "law"]) + any(["end_punctuation"]) + any(["start_punctuation"]),
  any(["currency", "numeric", "box"]) + any(["start_punctuation"]),
  `[a-z]${any(["upper_accented"])}${any(["start_punctuation", "currency"])}`,
  any(["box"]) + any(["kaomoji"]),
  any([...ACCENTED, "currency", "numeric", ...QUOTES, "law"]) + any(["box"]),
  any(["box"]) + any(["end_punctuation"]),
  any(ACCENTED) + any(QUOTES) + WORD_CHARACTER,
];

/** What one encoding makes of common characters. */
const PARTICULAR: readonly string[] = [
  "[Œœ][^A-Za-z]",
  `${any(["upper_accented"])}°`,
  // Windows-1252
  `[ÂÃÎÐ]${any(QUOTES, "€œŠš¢£Ÿž\\xa0\\xad®©°·»–—´")}`,
  "×[²³]",
  ARABIC + ARABIC,
  "à[²µ¹¼½¾]",
  // MacRoman
  "√[±∂†≠®™´≤≥¥µø]",
  "≈[°¢]",
  "‚Ä[ìîïòôúùû†°¢π]",
  "‚[âó][àä°ê]",
  // Windows-1251, and it upon Windows-1252
  "вЂ",
  `[ВГРС]${any(["c1", "bad", ...QUOTES, "currency"], "°µ")}[ВГРС]`,
  "ГўВЂВ[^\\n][A-Za-z ]",
  // à, á and the no-break space in Windows-1252
  "Ã[\\xa0¡]",
  `[a-z]${SPACE}?[ÃÂ] `,
  "^[ÃÂ] ",
  `${any(["end_punctuation"], "a-z.,?!")}Â${any(QUOTES, " ")}`,
  // Windows-1253 and 1257
  "β€[™\\xa0Ά\\xad®°]",
  `[ΒΓΞΟ]${any(["c1", "bad", ...QUOTES, "currency"], "°")}[ΒΓΞΟ]`,
  "ā€",
];

const BADNESS = new RegExp([...GENERAL, ...PARTICULAR].join("|"), "u");

/** ftfy.badness.is_bad(text). */
export function isBad(text: string): boolean {
  return BADNESS.test(text);
}
