import { describe, expect, it } from "vitest";
import { beatAskFromProto } from "../../../services/coordinator/dispatch/ask-mapping.ts";
import { BeatRequest, type KeptCheckpoint } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";

const attemptId = "0".repeat(32);
const checkpoint: KeptCheckpoint = { step: 5, sha256: "ab".repeat(32), sizeBytes: 7n };

/** A beat as it arrives: a worker of the version before does not say where its attempts got to. */
function beat(said: Partial<KeptCheckpoint> | undefined): BeatRequest {
  const attempts = [{ attemptId, ...(said === undefined ? {} : { checkpoint: { ...checkpoint, ...said } }) }];
  const header = { protocolVersion: 1, sessionId: "session", sequence: 1n };
  return BeatRequest.decode(BeatRequest.encode(BeatRequest.fromPartial({ header, attempts })).finish());
}

describe("a beat's checkpoint", () => {
  it("is none where the worker tells none", () => {
    expect(beatAskFromProto(beat(undefined)).attempts[0]?.checkpoint).toBeUndefined();
  });

  it("comes off the wire whole", () => {
    expect(beatAskFromProto(beat({})).attempts[0]?.checkpoint).toEqual({ ...checkpoint, sizeBytes: 7 });
  });

  it.each([{ step: 0 }, { step: -3 }, { sha256: "no hash" }, { sizeBytes: -1n }])("is refused with its beat when it has %o", (said) => {
    expect(() => beatAskFromProto(beat(said))).toThrow(expect.objectContaining({ code: "PROTOCOL_UNSUPPORTED" }) as Error);
  });
});
