import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseCogvideoxFamily } from "../../../services/domain/vap/schedulers/cogvideox-family.ts";
import { parseFlowFamily } from "../../../services/domain/vap/schedulers/flow-config.ts";

type Config = Readonly<Record<string, unknown>>;
type Base = "unipc" | "euler" | "cogvideox";

/** exporter/tests/test_scheduler_configs.py reads the same list. */
const list = JSON.parse(readFileSync(new URL("../../fixtures/vap/scheduler-configs.json", import.meta.url), "utf8")) as {
  readonly bases: Readonly<Record<Base, Config>>;
  readonly cases: readonly { readonly base: Base; readonly accepted: boolean; readonly change: Config }[];
};
const parsers = { unipc: parseFlowFamily, euler: parseFlowFamily, cogvideox: parseCogvideoxFamily };

describe("a scheduler config", () => {
  test.each(list.cases)("is judged as the exporter judges it: $base $change", ({ base, accepted, change }) => {
    const parse = (): unknown => parsers[base]({ ...list.bases[base], ...change });
    const [key = ""] = Object.keys(change);
    if (accepted) expect(parse).not.toThrow();
    else
      expect(parse).toThrow(expect.objectContaining({ code: "MODEL_INVALID", message: expect.stringContaining(key) as string }) as Error);
  });
});
