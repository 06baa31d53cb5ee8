import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rowDigest, rowSeed, type SeededRow, seedOf, suiteId, suiteIdOf } from "../../../services/domain/suite-id.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const hash = fc.uint8Array({ minLength: 1, maxLength: 8 }).map(sha256);
const row: fc.Arbitrary<SeededRow> = fc
  .array(fc.record({ sha256: hash, caption: fc.string({ unit: "binary" }) }), { minLength: 1, maxLength: 3 })
  .chain((references) =>
    fc.record({
      targetSha256: hash,
      referenceSha256s: fc.constant(references.map((reference) => reference.sha256)),
      caption: fc.string({ unit: "binary" }),
      referenceCaptions: fc.constant(references.map((reference) => reference.caption)),
      kind: fc.string(),
      seed: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    }),
  );
const rows = fc.array(row, { minLength: 1, maxLength: 6 });

describe("a suite's id", () => {
  it("is the same for the same content, wherever the rows came from", () => {
    fc.assert(
      fc.property(rows, fc.string(), fc.integer(), (all, path, line) => {
        const moved = all.map((one) => ({ ...one, targetPath: path, referencePaths: [path], line, position: line }));
        expect(suiteId(moved, sha256)).toBe(suiteId(all, sha256));
      }),
    );
  });

  it("changes with each field of each row", () => {
    const changes: readonly ((one: SeededRow) => SeededRow)[] = [
      (one) => ({ ...one, targetSha256: sha256(Buffer.from(one.targetSha256)) }),
      (one) => ({ ...one, referenceSha256s: one.referenceSha256s.map((each) => sha256(Buffer.from(each))) }),
      (one) => ({ ...one, referenceSha256s: [...one.referenceSha256s, one.targetSha256] }),
      (one) => ({ ...one, caption: `${one.caption} ` }),
      (one) => ({ ...one, referenceCaptions: one.referenceCaptions.map((text) => `${text}.`) }),
      (one) => ({ ...one, kind: `${one.kind}x` }),
      (one) => ({ ...one, seed: one.seed + 1n }),
    ];
    fc.assert(
      fc.property(rows, fc.nat(), fc.constantFrom(...changes), (all, at, change) => {
        const changed = all.map((one, index) => (index === at % all.length ? change(one) : one));
        expect(suiteId(changed, sha256)).not.toBe(suiteId(all, sha256));
      }),
    );
  });

  it("changes with the order and the number of rows", () => {
    fc.assert(
      fc.property(row, row, (one, other) => {
        fc.pre(rowDigest(one, sha256) !== rowDigest(other, sha256));
        const ids = [[one, other], [other, one], [one], [one, one], [one, one, other]].map((all) => suiteId(all, sha256));
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  it("is made of digests that can be kept instead of the rows", () => {
    fc.assert(
      fc.property(rows, (all) => {
        const digests = all.map((one) => rowDigest(one, sha256));
        expect(suiteIdOf(digests, sha256)).toBe(suiteId(all, sha256));
      }),
    );
  });

  it("stays what it was: another encoding is another version", () => {
    const content = { targetSha256: "a".repeat(64), referenceSha256s: ["b".repeat(64)], caption: "a “cat”\n🐈", referenceCaptions: ["x"] };
    expect(suiteId([{ ...content, kind: "ghibli", seed: 42n }], sha256)).toMatchInlineSnapshot(
      `"42db6a027b4153907d4d8731ef55bdd0db04676b7376e1e63dcfdad45b1113c8"`,
    );
    expect(rowSeed({ ...content, kind: "ghibli" }, 42n, sha256)).toMatchInlineSnapshot(`1175252057n`);
  });
});

describe("the seeds of a row", () => {
  it("are 32 bits, and come from the row and the base seed alone", () => {
    fc.assert(
      fc.property(row, fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (one, base) => {
        const seed = rowSeed(one, base, sha256);
        expect(seed >= 0n && seed < 2n ** 32n).toBe(true);
        expect(rowSeed({ ...one, seed: one.seed + 1n } as SeededRow, base, sha256)).toBe(seed);
      }),
    );
  });

  it("are another with another base seed, but for one chance in 4 billion", () => {
    const one = { targetSha256: "a".repeat(64), referenceSha256s: ["b".repeat(64)], caption: "", referenceCaptions: [""], kind: "" };
    const seeds = Array.from({ length: 500 }, (_, base) => rowSeed(one, BigInt(base), sha256));
    expect(new Set(seeds).size).toBe(500);
  });

  it("begin with the row's own and then differ, all of them", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (own) => {
        const seeds = Array.from({ length: 100 }, (_, index) => seedOf(own, index));
        expect(seeds[0]).toBe(own);
        expect(new Set(seeds.map((seed) => seed % 2n ** 32n)).size).toBe(100);
        expect(seeds.slice(1).every((seed) => seed >= 0n && seed < 2n ** 32n)).toBe(true);
      }),
    );
  });
});
