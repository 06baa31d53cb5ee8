import { describe, expect, it } from "vitest";
import { untilTaken } from "../../../services/client/back-pressure.ts";
import { FarmError } from "../../../services/domain/errors.ts";

/** A call that is refused that often. */
function refused(times: number, error: FarmError) {
  let calls = 0;
  return {
    calls: () => calls,
    call: () => {
      calls += 1;
      return calls <= times ? Promise.reject(error) : Promise.resolve("taken");
    },
  };
}

describe("a farm that takes no more", () => {
  it("is asked again after the time that it said", async () => {
    const { call, calls } = refused(2, new FarmError("FARM_FULL", { details: { retryAfterMs: 1 } }));
    expect(await untilTaken({}, call)).toBe("taken");
    expect(calls()).toBe(3);
  });

  it("is not asked again for what it never takes, nor beyond the caller's patience", async () => {
    const final = refused(1, new FarmError("TENANT_LIMIT_EXCEEDED"));
    await expect(untilTaken({}, final.call)).rejects.toMatchObject({ code: "TENANT_LIMIT_EXCEEDED" });
    const late = refused(1, new FarmError("FARM_BUSY", { details: { retryAfterMs: 100 } }));
    await expect(untilTaken({ patienceMs: 50 }, late.call)).rejects.toMatchObject({ code: "FARM_BUSY" });
    expect([final.calls(), late.calls()]).toEqual([1, 1]);
  });
});
