import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { JobEvent, Render, RenderSpec } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { createMessageJson } from "../../../services/platform/protojson/message-json.ts";

const toJson = createMessageJson(readFileSync(new URL("../../../services/gen/farm.binpb", import.meta.url)));

describe("a message's JSON", () => {
  it("spells out what is zero or empty and leaves out what is absent", () => {
    const render = Render.create({ jobId: "job-1", spec: RenderSpec.create({ seed: 0n }) });
    expect(toJson("vapfarm.v1.Render", Render.encode(render).finish())).toMatchObject({
      jobId: "job-1",
      position: 0,
      state: "JOB_STATE_UNSPECIFIED",
      tasks: [],
      spec: { prompt: "", seed: "0" },
    });
    expect(toJson("vapfarm.v1.Render", Render.encode(render).finish())).not.toHaveProperty("endTime");
  });

  it("has 64-bit numbers as text and times as RFC 3339", () => {
    const event = JobEvent.create({ number: 2n ** 60n, time: new Date("2026-01-02T03:04:05.678Z") });
    expect(toJson("vapfarm.v1.JobEvent", JobEvent.encode(event).finish())).toMatchObject({
      number: "1152921504606846976",
      time: "2026-01-02T03:04:05.678Z",
    });
  });

  it("is refused for a type that there is not", () => {
    expect(() => toJson("vapfarm.v1.Nothing", Buffer.alloc(0))).toThrow("vapfarm.v1.Nothing");
  });
});
