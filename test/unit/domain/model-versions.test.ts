import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isModelAlias,
  isModelName,
  type ModelReference,
  parseModelReference,
  pinnedReference,
  versionFolder,
  versionOfFolder,
} from "../../../services/domain/model-reference.ts";
import {
  bytesOf,
  chunksOf,
  fileViolations,
  isInnerPath,
  modelChunkBytes,
  type VersionFile,
  versionDigest,
  versionOf,
} from "../../../services/domain/model-version.ts";
import { type HeldVersion, makeRoom } from "../../../services/domain/node-budget.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const hash = (text: string): string => sha256(new TextEncoder().encode(text));

describe("a reference of a model", () => {
  it.each<[string, ModelReference | undefined]>([
    ["cog", { kind: "bare", name: "cog" }],
    ["vap-cogvideox.5b_2", { kind: "bare", name: "vap-cogvideox.5b_2" }],
    ["cog@prod", { kind: "alias", name: "cog", alias: "prod" }],
    ["cog@2026-01", { kind: "alias", name: "cog", alias: "2026-01" }],
    ["cog:0123456789ab", { kind: "version", name: "cog", version: "0123456789ab" }],
    ...[
      "",
      "@prod",
      "cog@",
      "cog:",
      "cog:0123456789AB",
      "cog:0123",
      "cog@a@b",
      "cog:0123456789ab@prod",
      "-cog",
      "a/b",
      "cog @prod",
      "a\n",
    ].map((text): [string, undefined] => [text, undefined]),
    [`cog@${"a".repeat(41)}`, undefined],
    ["a".repeat(101), undefined],
  ])("%j is %j", (text, expected) => expect(parseModelReference(text)).toEqual(expected));

  it("is what its parts make, and names a folder that says the same", () => {
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
    const version = fc.stringMatching(/^[0-9a-f]{12}$/);
    fc.assert(
      fc.property(name, version, (of, id) => {
        expect(parseModelReference(pinnedReference(of, id))).toEqual({ kind: "version", name: of, version: id });
        expect(versionOfFolder(versionFolder(of, id))).toEqual({ name: of, version: id });
        expect([isModelName(of), versionOfFolder(of)]).toEqual([true, undefined]);
      }),
    );
    expect([isModelAlias("prod"), isModelAlias("a b"), isModelAlias("")]).toEqual([true, false, false]);
    expect(["demo@prod", "demo@0123456789ab@x", "@0123456789ab", "demo@0123456789abc"].map(versionOfFolder)).toEqual(
      Array(4).fill(undefined),
    );
  });
});

const file = fc.record({ path: fc.stringMatching(/^[a-z]{1,8}(\/[a-z0-9]{1,8}){0,2}$/), bytes: fc.nat(3 * modelChunkBytes) });
const files = fc.uniqueArray(file, { selector: ({ path }) => path, minLength: 1, maxLength: 6 }).map((all) =>
  all.map(({ path, bytes }): VersionFile => ({
    path,
    bytes,
    sha256: hash(path),
    chunks: Array.from({ length: Math.ceil(bytes / modelChunkBytes) }, (_, index) => hash(`${path} ${index}`)),
  })),
);

describe("a version", () => {
  it("has the digest of its files, in whatever order they are listed, and another for other files", () => {
    fc.assert(
      fc.property(files, (all) => {
        const digest = versionDigest(all, sha256);
        expect(versionDigest(all.toReversed(), sha256)).toBe(digest);
        expect(versionOf(digest)).toBe(digest.slice(0, 12));
        expect(fileViolations(all)).toEqual([]);
        const [first, ...others] = all;
        if (first === undefined) return;
        for (const other of [
          { ...first, path: `${first.path}x` },
          { ...first, sha256: hash("other") },
          { ...first, chunks: [hash("x")] },
        ]) {
          expect(versionDigest([other, ...others], sha256)).not.toBe(digest);
        }
      }),
    );
  });

  it("has chunks that cover each file once, in order", () => {
    fc.assert(
      fc.property(files, (all) => {
        for (const each of all) {
          let at = 0;
          for (const chunk of chunksOf(each)) {
            expect([chunk.offset, chunk.bytes > 0, chunk.bytes <= modelChunkBytes]).toEqual([at, true, true]);
            at += chunk.bytes;
          }
          expect(at).toBe(each.bytes);
        }
        expect(bytesOf(all)).toBe(all.reduce((sum, { bytes }) => sum + bytes, 0));
      }),
    );
  });

  it.each<[string, boolean]>([
    ["farm.json", true],
    ["denoise/1/model.onnx", true],
    ...[
      "",
      "/etc/passwd",
      "../x",
      "a/../b",
      "a//b",
      "a/",
      ".hidden",
      "a/.version.json",
      "a\\b",
      "c:x",
      "a\u0000b",
      "a\nb",
      "x".repeat(501),
    ].map((path): [string, boolean] => [path, false]),
  ])("%j may be a path in it: %s", (path, isAllowed) => expect(isInnerPath(path)).toBe(isAllowed));

  it("names each file that is wrong, and no more of them than a person reads", () => {
    const sound: VersionFile = { path: "a", bytes: 1, sha256: hash("a"), chunks: [hash("a")] };
    const reasons = (...wrong: readonly Partial<VersionFile>[]) =>
      fileViolations(wrong.map((each) => ({ ...sound, ...each }))).map(({ field, reason }) => `${field} ${reason}`);
    expect(reasons({}, { path: "a" })).toEqual(["files[1] names a again"]);
    expect(reasons({ bytes: modelChunkBytes + 1 })).toEqual([`files[0] has 1 chunks, not the 2 of ${modelChunkBytes + 1} bytes`]);
    expect(reasons({ chunks: ["x"] })).toEqual(["files[0] has a hash that is no SHA-256"]);
    expect(reasons({ bytes: -1 }, { path: "b", bytes: 2 ** 60 }).length).toBe(2);
    expect(reasons(...Array.from({ length: 100 }, () => ({ path: "/" }))).length).toBe(20);
    expect(fileViolations([]).length).toBe(1);
  });
});

describe("a node's budget", () => {
  const version = (reference: string, bytes: number, more: Partial<HeldVersion> = {}): HeldVersion => ({
    ...{ reference, bytes, usedAtMs: 0, neededFor: undefined },
    ...more,
  });

  it("lets go who was used least recently, and no more than is needed", () => {
    const held = [version("a", 10, { usedAtMs: 3 }), version("b", 10, { usedAtMs: 1 }), version("c", 10, { usedAtMs: 2 })];
    expect(makeRoom({ held, neededBytes: 15, budgetBytes: 30 })).toMatchObject({
      kind: "fits",
      evict: [{ reference: "b" }, { reference: "c" }],
    });
    expect(makeRoom({ held, neededBytes: 0, budgetBytes: 30 })).toEqual({ kind: "fits", evict: [] });
  });

  it("refuses rather than let go what is needed", () => {
    const held = [version("a", 10, { neededFor: "alias prod" }), version("b", 10)];
    expect(makeRoom({ held, neededBytes: 25, budgetBytes: 30 })).toMatchObject({
      kind: "refused",
      shortBytes: 5,
      staying: [{ reference: "a" }],
    });
  });

  it("never evicts what is needed, fits when it says so, and evicts in order of use", () => {
    const anyVersion = fc.record({ bytes: fc.nat(100), usedAtMs: fc.nat(50), isNeeded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(anyVersion), fc.nat(300), fc.nat(1_000), (all, neededBytes, budgetBytes) => {
        const held = all.map(({ bytes, usedAtMs, isNeeded }, index) =>
          version(`v${index}`, bytes, { usedAtMs, neededFor: isNeeded ? "x" : undefined }),
        );
        const decision = makeRoom({ held, neededBytes, budgetBytes });
        const sum = (some: readonly HeldVersion[]) => some.reduce((total, { bytes }) => total + bytes, 0);
        if (decision.kind === "refused") {
          const needed = sum(held.filter(({ neededFor }) => neededFor !== undefined));
          expect(needed + neededBytes - decision.shortBytes).toBe(budgetBytes);
          return;
        }
        expect(decision.evict.every(({ neededFor }) => neededFor === undefined)).toBe(true);
        expect(sum(held) - sum(decision.evict) + neededBytes).toBeLessThanOrEqual(budgetBytes);
        expect(decision.evict).toEqual(
          decision.evict.toSorted((left, right) => left.usedAtMs - right.usedAtMs || (left.reference < right.reference ? -1 : 1)),
        );
        const newest = decision.evict.at(-1);
        if (newest !== undefined) expect(sum(held) - sum(decision.evict) + newest.bytes + neededBytes).toBeGreaterThan(budgetBytes);
      }),
    );
  });
});
