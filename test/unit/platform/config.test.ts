import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FarmError } from "../../../services/domain/errors.ts";
import { jsonSetting, listenAddress, parseConfig, positiveInteger, secretString, switchFlag } from "../../../services/platform/config.ts";

const schema = z.object({
  ADDRESS: listenAddress.default("127.0.0.1:0"),
  THREADS: positiveInteger,
  TOKEN: secretString.optional(),
  EXIT: switchFlag.default(false),
  POOLS: jsonSetting(z.array(z.object({ name: z.string() }))).optional(),
});

function refusal(environment: Record<string, string>): FarmError {
  try {
    parseConfig(schema, environment);
  } catch (thrown) {
    if (thrown instanceof FarmError) return thrown;
  }
  return expect.fail("the configuration was accepted");
}

describe("parseConfig", () => {
  it("fills defaults, converts numbers and freezes what it returns", () => {
    const config = parseConfig(schema, { THREADS: "4", EXIT: "1" });
    expect(config).toMatchObject({ ADDRESS: "127.0.0.1:0", THREADS: 4, EXIT: true });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("treats an empty variable as absent", () => {
    expect(parseConfig(schema, { THREADS: "1", ADDRESS: "" }).ADDRESS).toBe("127.0.0.1:0");
  });

  it("lists every wrong field at once", () => {
    const error = refusal({ THREADS: "none", ADDRESS: "nowhere" });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.details.fields?.map(({ field }) => field)).toEqual(["ADDRESS", "THREADS"]);
  });

  it("names what is wrong inside JSON, and JSON that is none", () => {
    expect(refusal({ THREADS: "1", POOLS: "[{}]" }).message).toContain("name");
    expect(refusal({ THREADS: "1", POOLS: "{" }).message).toContain("must be JSON");
  });

  it("prints secrets as redacted and reveals them only when asked", () => {
    const { TOKEN } = parseConfig(schema, { THREADS: "1", TOKEN: "s3cret" });
    expect(`${String(TOKEN)} ${JSON.stringify({ TOKEN })}`).not.toContain("s3cret");
    expect(TOKEN?.reveal()).toBe("s3cret");
  });
});
