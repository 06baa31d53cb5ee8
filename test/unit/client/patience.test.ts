import { describe, expect, it } from "vitest";
import { createPatience, patiently } from "../../../services/client/patience.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { refusalOf } from "../../support/farm-calls.ts";

const late = (): FarmError => new FarmError("DEADLINE_PASSED");

/** The codes that are told as outages while the failures come in. */
function listening() {
  const told: string[] = [];
  return { told, options: { patienceMs: 150, onOutage: ({ code }: FarmError) => void told.push(code) } };
}

describe("a deadline that passed", () => {
  it("is an outage of a call that has one answer, and ends with patience", async () => {
    const { told, options } = listening();
    let asked = 0;
    const call = (): Promise<never> => {
      asked += 1;
      return Promise.reject(late());
    };
    expect((await refusalOf(patiently(createPatience(options), call))).code).toBe("DEADLINE_PASSED");
    expect([asked, told]).toEqual([2, ["DEADLINE_PASSED"]]);
  });

  it("is none of a stream that the farm answered on, once", async () => {
    const { told, options } = listening();
    const patience = createPatience(options);
    patience.answered();
    await patience.failed(late());
    expect(told).toEqual([]);
    await patience.failed(late());
    expect(told).toEqual(["DEADLINE_PASSED"]);
  });

  it("is none of a stream that may be silent and was open for long", async () => {
    const { told, options } = listening();
    const patience = createPatience(options);
    for (const silentMs of [3_600_000, 3_600_000, 5_000]) await patience.failed(late(), silentMs);
    expect(told).toEqual([]);
    await patience.failed(late(), 10);
    expect(told).toEqual(["DEADLINE_PASSED"]);
  });
});

describe("what one operation tries again", () => {
  it("is waited out in it as long as the farm asks, and refused elsewhere", async () => {
    const busy = new FarmError("UPLOADS_BUSY", { details: { retryAfterMs: 300 } });
    const since = performance.now();
    await createPatience({}, ["UPLOADS_BUSY"]).failed(busy);
    expect(performance.now() - since).toBeGreaterThan(290);
    expect((await refusalOf(createPatience({}).failed(busy))).code).toBe("UPLOADS_BUSY");
  });
});
