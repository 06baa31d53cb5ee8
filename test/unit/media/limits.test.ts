import { describe, expect, it } from "vitest";
import { defaultMediaLimits, mediaSettings } from "../../../services/platform/media/limits.ts";
import { coordinatorSchema } from "../../../services/coordinator/config.ts";
import { readRuntimeConfig, runtimeSettings } from "../../../services/worker/runtime/config.ts";

/** Settings about media that are no limits on one file. */
const others: readonly string[] = ["VAPFARM_MEDIA_INSPECTIONS", "VAPFARM_MEDIA_SOURCES"];
const own = (schema: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.keys(schema).filter((name) => name.startsWith("VAPFARM_MEDIA_") && !others.includes(name));

describe("the limits on media", () => {
  it("have one set of names, which coordinator and runtime both read", () => {
    expect(own(coordinatorSchema.shape)).toEqual(Object.keys(mediaSettings));
    expect(own(runtimeSettings.shape)).toEqual(Object.keys(mediaSettings));
  });

  it("are the defaults where nothing is set, and each setting changes one", () => {
    expect(readRuntimeConfig({}, "/cache").inference.mediaLimits).toEqual(defaultMediaLimits);
    const values = Object.keys(mediaSettings).map((name, index) => [name, String(index + 1)]);
    expect(readRuntimeConfig(Object.fromEntries(values) as Record<string, string>, "/cache").inference.mediaLimits).toEqual({
      bytes: 1,
      pixelsPerFrame: 2,
      frames: 3,
      decodeMs: 4,
      memoryBytes: 5,
    });
  });
});
