import { describe, expect, it } from "vitest";
import {
  maskRule,
  maxInt64,
  nameRule,
  numberRule,
  pageSizeRule,
  reasonRule,
  sha256Rule,
  textRule,
  timeRule,
} from "../../../services/domain/field-rules.ts";
import { maxInlineBytes, mediaFormRule } from "../../../services/domain/media-source.ts";
import { webhookKeyOf, webhookRule } from "../../../services/domain/webhook-rules.ts";

const holds = (found: readonly unknown[]): boolean => found.length === 0;

describe("the rules of fields", () => {
  it.each([
    ["the ends of a range", numberRule("f", { value: 1, min: 1, max: 1 }), true],
    ["a number above its range", numberRule("f", { value: 2n, min: 0n, max: 1n }), false],
    ["half a number", numberRule("f", { value: 0.5, min: 0, max: 1 }), false],
    ["no number", numberRule("f", { value: NaN, min: 0, max: 1 }), false],
    ["a text of the greatest length", textRule("f", "abc", 3), true],
    ["a longer text", textRule("f", "abcd", 3), false],
    ["a NUL", textRule("f", "\0", 3), false],
    ["half a surrogate pair", textRule("f", "\ud800", 3), false],
    ["a name", nameRule("f", "a-B_9"), true],
    ["a name with a dot", nameRule("f", "a.b"), false],
    ["the first second", timeRule("f", new Date("0001-01-01T00:00:00Z")), true],
    ["the year 0", timeRule("f", new Date("0000-12-31T23:59:59Z")), false],
    ["the year 10000", timeRule("f", new Date(Date.UTC(10_000, 0))), false],
    ["no time", timeRule("f", new Date(NaN)), false],
    ["the longest reason", reasonRule("x".repeat(500)), true],
    ["a longer reason", reasonRule("x".repeat(501)), false],
    ["a page of the default size", pageSizeRule(0), true],
    ["the largest page", pageSizeRule(1_000), true],
    ["a larger page", pageSizeRule(1_001), false],
    ["a page of less than nothing", pageSizeRule(-1), false],
    ["no hash", sha256Rule("f", undefined), true],
    ["a hash", sha256Rule("f", "0a".repeat(32)), true],
    ["an empty hash", sha256Rule("f", ""), false],
    ["a hash in upper case", sha256Rule("f", "0A".repeat(32)), false],
    ["the largest int64", numberRule("f", { value: 9_223_372_036_854_775_807n, min: 0, max: maxInt64 }), true],
    ["a known path", maskRule("f", ["a"], ["a", "b"]), true],
    ["an inherited path", maskRule("f", ["constructor"], ["a", "b"]), false],
  ])("judge %s", (_case, found, isRight) => {
    expect(holds(found)).toBe(isRight);
  });
});

describe("the form of media", () => {
  const hash = "a".repeat(64);
  it.each([
    ["a hash", { sha256: hash }, true],
    ["bytes", { sha256: "", inline: new Uint8Array(maxInlineBytes) }, true],
    ["an https address", { sha256: "", uri: "https://example.com/a.png?x=1" }, true],
    ["an s3 address", { sha256: "", uri: "s3://bucket/key" }, true],
    ["nothing", { sha256: "" }, false],
    ["a hash and bytes", { sha256: hash, inline: new Uint8Array(1) }, false],
    ["bytes and an address", { sha256: "", inline: new Uint8Array(1), uri: "s3://a/b" }, false],
    ["an upper-case hash", { sha256: "A".repeat(64) }, false],
    ["too many bytes", { sha256: "", inline: new Uint8Array(maxInlineBytes + 1) }, false],
    ["an http address", { sha256: "", uri: "http://example.com/" }, false],
    ["a file", { sha256: "", uri: "file:///etc/passwd" }, false],
    ["an address with a space", { sha256: "", uri: "https://example.com/a b" }, false],
  ])("judges %s", (_case, source, isRight) => {
    expect(holds(mediaFormRule("f", source))).toBe(isRight);
  });
});

describe("the form of a webhook", () => {
  const secretOf = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 1).toString("base64")}`;
  it.each([
    [23, false],
    [24, true],
    [25, true],
    [64, true],
    [65, false],
  ])("takes a key of %d bytes: %s", (bytes, isRight) => {
    expect(holds(webhookRule({ url: "https://example.com/", secret: secretOf(bytes) }))).toBe(isRight);
  });

  it("keeps the key's bytes, padded or not", () => {
    const key = Buffer.alloc(25, 200).toString("base64");
    expect([webhookKeyOf(`whsec_${key}`), webhookKeyOf(`whsec_${key.replace(/=+$/, "")}`)]).toEqual([key, key]);
    expect([webhookKeyOf(key), webhookKeyOf("whsec_****"), webhookKeyOf("")]).toEqual([undefined, undefined, undefined]);
  });

  it("never repeats the secret", () => {
    expect(JSON.stringify(webhookRule({ url: "no", secret: "whsec_verysecret" }))).not.toContain("verysecret");
  });
});
