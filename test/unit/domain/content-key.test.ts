import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, contentKey, type KeyParts } from "../../../services/domain/content-key.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const parts: KeyParts = {
  sharingDomain: '["local"]',
  stage: "vae_encode",
  engineDigests: { vae_encode: "d1" },
  pool: "gpu",
  profile: "cpu",
  parameters: { vaeEncode: { firstFrameOnly: false } },
  constants: null,
  inputs: { pixels: { kind: "task", contentKey: "k1", output: "pixels" } },
};

test("the order of members does not matter, and absent ones are as undefined ones", () => {
  expect(canonicalJson({ b: 1, a: [2, { d: 3, c: undefined }] })).toBe('{"a":[2,{"d":3}],"b":1}');
  expect(canonicalJson({ a: "\u00e9\n", b: true, c: null })).toBe('{"a":"é\\n","b":true,"c":null}');
});

test("what JSON cannot hold is refused", () => {
  for (const value of [NaN, Infinity, 1n, undefined, () => 1]) expect(() => canonicalJson([value])).toThrow("a content key cannot hold");
});

test("two values have the same canonical JSON exactly when they are the same JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
      const normal = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
      expect(JSON.parse(canonicalJson(left))).toEqual(normal(left));
      expect(canonicalJson(left) === canonicalJson(right)).toBe(canonicalJson(normal(left)) === canonicalJson(normal(right)));
    }),
  );
});

test("each part of a key changes it", () => {
  const changes: readonly Partial<KeyParts>[] = [
    { sharingDomain: '["other"]' },
    { stage: "vae_decode" },
    { engineDigests: { vae_encode: "d2" } },
    { engineDigests: { vae_encode_image: "d1" } },
    { pool: "other" },
    { profile: "cuda" },
    { parameters: { vaeEncode: { firstFrameOnly: true } } },
    { constants: { fps: 16 } },
    { inputs: { pixels: { kind: "task", contentKey: "k2", output: "pixels" } } },
    { inputs: { pixels: { kind: "task", contentKey: "k1", output: "moments" } } },
    { inputs: { media: { kind: "task", contentKey: "k1", output: "pixels" } } },
    { inputs: { pixels: { kind: "upload", sha256: "k1" } } },
  ];
  const keys = [{}, ...changes].map((change) => contentKey({ ...parts, ...change }, sha256));
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.every((key) => /^[0-9a-f]{64}$/.test(key))).toBe(true);
});

test("a key is the same in every release that does not raise a version", () => {
  expect(contentKey(parts, sha256)).toMatchInlineSnapshot(`"8481124251a2a57560fa9cdfae248a1f791a4c398b229a7f24581671810439ef"`);
});
