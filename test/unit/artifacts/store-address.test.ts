import { describe, expect, it } from "vitest";
import { z } from "zod";
import { parseStoreAddress } from "../../../services/platform/artifacts/store-address.ts";
import { artifactSettings, presignSettings, s3SettingsOf } from "../../../services/platform/artifacts/store-settings.ts";

describe("an artifact store's address", () => {
  it.each([
    ["folder:/srv/artifacts", { kind: "folder", path: "/srv/artifacts" }],
    ["s3://farm-bucket", { kind: "s3", bucket: "farm-bucket", prefix: "" }],
    ["s3://farm.bucket/", { kind: "s3", bucket: "farm.bucket", prefix: "" }],
    ["s3://farm/vap//artifacts/", { kind: "s3", bucket: "farm", prefix: "vap/artifacts/" }],
    ["jetstream:farm_1", { kind: "jetstream", bucket: "farm_1", replicas: undefined, maxBytes: undefined, maxObjectBytes: 67_108_864 }],
    [
      "jetstream:farm?replicas=3&max_bytes=1000&max_object_bytes=500",
      { kind: "jetstream", bucket: "farm", replicas: 3, maxBytes: 1000, maxObjectBytes: 500 },
    ],
  ])("is read: %s", (address, parsed) => {
    expect(parseStoreAddress(address)).toEqual(parsed);
  });

  it.each([
    ["", "is no artifact store"],
    ["/srv/artifacts", "is no artifact store"],
    ["folder:relative", "is no artifact store"],
    ["s3:bucket", "is no bucket"],
    ["s3://", "is no bucket"],
    ["s3://Bucket", "is no bucket"],
    ["s3://bucket/prefix?region=x", "is no bucket"],
    ["s3://bucket/../other", "must have no . or .."],
    ["s3://key:secret@bucket", "is no bucket"],
    ["jetstream:", "is no bucket"],
    ["jetstream:a.b", "is no bucket"],
    ["jetstream:a?replicas=6", "replicas of"],
    ["jetstream:a?replicas=0x1", "whole number from 1 to 5"],
    ["jetstream:a?max_object_bytes=999999999", "whole number from 1 to 268435456"],
    ["jetstream:a?max_bytes=1&ttl=5", "has ttl, which is none of"],
  ])("is refused in words: %s", (address, words) => {
    expect(() => parseStoreAddress(address)).toThrow(words);
  });
});

describe("the settings of artifact stores", () => {
  const schema = z.object({ ...artifactSettings, ...presignSettings });

  it("are what an S3 store is opened with", () => {
    const given = {
      VAPFARM_ARTIFACTS: "s3://bucket",
      VAPFARM_ARTIFACTS_S3_ENDPOINT: "http://minio:9000",
      VAPFARM_ARTIFACTS_S3_REGION: "eu-central-1",
      VAPFARM_ARTIFACTS_S3_PATH_STYLE: "1",
    };
    const settings = { endpoint: "http://minio:9000", region: "eu-central-1", pathStyle: true };
    expect(s3SettingsOf(schema.parse(given))).toEqual(settings);
    const presigning = { ...given, VAPFARM_ARTIFACTS_S3_PRESIGN: "1", VAPFARM_ARTIFACTS_S3_PUBLIC_ENDPOINT: "https://s3.example" };
    expect(s3SettingsOf(schema.parse(presigning))).toEqual({ ...settings, presign: { endpoint: "https://s3.example" } });
  });

  it("refuse an address that is none, and endpoints that are no addresses", () => {
    expect(schema.safeParse({ VAPFARM_ARTIFACTS: "bucket" }).error?.message).toContain("is no artifact store");
    expect(schema.safeParse({ VAPFARM_ARTIFACTS: "s3://bucket", VAPFARM_ARTIFACTS_S3_ENDPOINT: "minio:9000" }).success).toBe(false);
  });
});
