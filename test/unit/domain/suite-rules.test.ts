import { describe, expect, it } from "vitest";
import { type SuiteRow, suiteRowViolations, titleRule } from "../../../services/domain/suite-rules.ts";
import type { UploadFacts } from "../../../services/domain/render-rules.ts";

const hashes = { clip: "a".repeat(64), other: "b".repeat(64), image: "c".repeat(64), gone: "d".repeat(64) };
const uploads = new Map<string, UploadFacts>([
  [hashes.clip, { kind: "video", frames: 49 }],
  [hashes.other, { kind: "video", frames: 1 }],
  [hashes.image, { kind: "image", frames: 1 }],
]);
const row: SuiteRow = {
  position: 3,
  line: 5,
  targetSha256: hashes.clip,
  referenceSha256s: [hashes.other],
  caption: "a “cat” says 'hi',\n\"twice\" 🐈",
  referenceCaptions: ["a dog"],
  kind: "ghibli",
  seed: 42n,
  targetPath: "videos/1.mp4",
  referencePaths: ["videos/2.mp4"],
};

const fieldsOf = (change: Partial<SuiteRow>) =>
  suiteRowViolations({ ...row, ...change }, 3, uploads).map(({ field, code }) => `${field} ${code}`);

describe("a row of a suite", () => {
  it("may have quotes, line breaks and emoji, one file twice, and a seed of 63 bits", () => {
    expect(fieldsOf({})).toEqual([]);
    expect(fieldsOf({ referenceSha256s: [hashes.clip], seed: 2n ** 63n - 1n, line: 0, kind: "" })).toEqual([]);
  });

  it.each<[string, Partial<SuiteRow>, readonly string[]]>([
    ["out of its place", { position: 4 }, ["position FIELD_INVALID"]],
    ["of a negative line", { line: -1 }, ["line FIELD_INVALID"]],
    ["without a target", { targetSha256: "" }, ["target_sha256 FIELD_INVALID"]],
    ["of an unknown target", { targetSha256: hashes.gone }, ["target_sha256 MEDIA_UNKNOWN"]],
    ["whose target is an image", { targetSha256: hashes.image }, ["target_sha256 FIELD_INVALID"]],
    ["whose reference is an image", { referenceSha256s: [hashes.image] }, ["reference_sha256s[0] FIELD_INVALID"]],
    [
      "without references",
      { referenceSha256s: [] },
      ["reference_sha256s FIELD_INVALID", "reference_captions FIELD_INVALID", "reference_paths FIELD_INVALID"],
    ],
    [
      "of four references",
      { referenceSha256s: Array(4).fill(hashes.clip), referenceCaptions: Array(4).fill(""), referencePaths: Array(4).fill("") },
      ["reference_sha256s FIELD_INVALID"],
    ],
    ["with a caption too many", { referenceCaptions: ["a", "b"] }, ["reference_captions FIELD_INVALID"]],
    ["with a NUL", { caption: "a\0b" }, ["caption FIELD_INVALID"]],
    ["with half a surrogate pair", { referenceCaptions: ["\ud83d"] }, ["reference_captions[0] FIELD_INVALID"]],
    ["with too long a caption", { caption: "x".repeat(20_001) }, ["caption FIELD_INVALID"]],
    ["with too long a kind", { kind: "x".repeat(101) }, ["kind FIELD_INVALID"]],
    ["with a path of a NUL", { targetPath: "\0" }, ["target_path FIELD_INVALID"]],
    ["with too long a path", { referencePaths: ["x".repeat(4_097)] }, ["reference_paths[0] FIELD_INVALID"]],
    ["of a negative seed", { seed: -1n }, ["seed FIELD_INVALID"]],
    ["wrong in two ways", { seed: -1n, kind: "\0" }, ["kind FIELD_INVALID", "seed FIELD_INVALID"]],
  ])("%s is told so", (_title, change, fields) => {
    expect(fieldsOf(change)).toEqual(fields);
  });
});

describe("a name", () => {
  it.each(["a", "VAP benchmark, 48 rows", "ребёнок", "🐈".repeat(50)])("may be %j", (name) => {
    expect(titleRule("name", name)).toEqual([]);
  });

  it.each(["", " a", "a ", "a\nb", "a\0", "\u202Efdp", "\ud83d", "x".repeat(101)])("is not %j", (name) => {
    expect(titleRule("name", name)).toHaveLength(1);
  });
});
