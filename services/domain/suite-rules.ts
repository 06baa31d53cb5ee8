/**
 * What is wrong with a row of a suite, and with a name: every violation, not only the first.
 *
 * Pure: the tenant's uploads are an argument. Fields are those of bench.proto's SuiteRow.
 */
import { maxInt64, numberRule, type RuleViolation, textRule, violation, type Violations } from "./field-rules.ts";
import { isSha256 } from "./ids.ts";
import { maxTextCharacters, type UploadFacts } from "./render-rules.ts";
import type { SeededRow } from "./suite-id.ts";

/** Rows of one suite. */
export const maxSuiteRows = 200_000;
/** Semantic conditions of one suite. */
export const maxSuiteKinds = 1_000;
const maxReferences = 3;
const maxKindCharacters = 100;
const maxPathCharacters = 4_096;
const maxLine = 2 ** 31 - 1;

/** A row with where it came from. */
export type SuiteRow = SeededRow & {
  /** Place in the suite, from 0. */
  readonly position: number;
  /** Line of the file that it came from, from 1; 0: not known. */
  readonly line: number;
  readonly targetPath: string;
  readonly referencePaths: readonly string[];
};

/** What is wrong with the row that stands at `place`, from 0; uploads are the tenant's, by SHA-256. */
export function suiteRowViolations(row: SuiteRow, place: number, uploads: ReadonlyMap<string, UploadFacts>): Violations {
  return [
    ...placeRule(row, place),
    ...clipRule("target_sha256", row.targetSha256, uploads),
    ...countRules(row),
    ...row.referenceSha256s.flatMap((sha256, index) => clipRule(`reference_sha256s[${index}]`, sha256, uploads)),
    ...textRules(row),
    ...numberRule("seed", { value: row.seed, min: 0n, max: maxInt64 }),
  ];
}

/** What people call a suite, results or votes. */
export function titleRule(field: string, name: string): Violations {
  if (name.length <= 100 && name.isWellFormed() && /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name) && name.trim() === name) return [];
  return [violation(field, "is no name of 1 to 100 printable characters", "give such a name, without space around it")];
}

function placeRule({ position, line }: SuiteRow, place: number): Violations {
  const found: RuleViolation[] = [...numberRule("line", { value: line, min: 0, max: maxLine })];
  if (position !== place) found.push(violation("position", `is ${position} where ${place} follows`, "send rows in order, from position 0"));
  return found;
}

function clipRule(field: string, sha256: string, uploads: ReadonlyMap<string, UploadFacts>): Violations {
  if (!isSha256(sha256)) return [violation(field, "is no SHA-256 in lower-case hex", "use the sha256 that the upload answered")];
  const upload = uploads.get(sha256);
  if (upload === undefined) {
    return [{ ...violation(field, `no upload ${sha256} of this tenant`, "upload the media first"), code: "MEDIA_UNKNOWN" }];
  }
  return upload.kind === "video" ? [] : [violation(field, "is an image", "a row is made of clips: upload a video")];
}

function countRules({ referenceSha256s, referenceCaptions, referencePaths }: SuiteRow): Violations {
  const { length } = referenceSha256s;
  const isFew = length >= 1 && length <= maxReferences;
  return [
    ...(isFew ? [] : [violation("reference_sha256s", `has ${length} references`, `name 1 to ${maxReferences}`)]),
    ...sameCount("reference_captions", referenceCaptions.length, length),
    ...sameCount("reference_paths", referencePaths.length, length),
  ];
}

function sameCount(field: string, count: number, references: number): Violations {
  if (count === references) return [];
  return [violation(field, `has ${count} entries for ${references} references`, "give exactly one for each reference")];
}

function textRules({ caption, referenceCaptions, kind, targetPath, referencePaths }: SuiteRow): Violations {
  return [
    ...textRule("caption", caption, maxTextCharacters),
    ...referenceCaptions.flatMap((text, index) => textRule(`reference_captions[${index}]`, text, maxTextCharacters)),
    ...textRule("kind", kind, maxKindCharacters),
    ...textRule("target_path", targetPath, maxPathCharacters),
    ...referencePaths.flatMap((path, index) => textRule(`reference_paths[${index}]`, path, maxPathCharacters)),
  ];
}
