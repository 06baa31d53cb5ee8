import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorTable } from "../../../services/domain/errors.ts";

const runbook = readFileSync(new URL("../../../deploy/RUNBOOK.md", import.meta.url), "utf8");
const documented = [...runbook.matchAll(/^\| `([A-Z_0-9]+)` \|/gm)].map((match) => match[1]);

describe("the runbook's table of error codes", () => {
  it("has one row for every code", () => {
    expect([...documented].sort()).toEqual(Object.keys(errorTable).sort());
  });
});
