import { describe, expect, it } from "vitest";
import { poolOfModel } from "../../../services/domain/pool-of-model.ts";

describe("the pool of a model", () => {
  const named = { name: "wan", models: ["vap-wan"] };
  const open = { name: "rest" };

  it("is the one that names it, wherever it stands", () => {
    expect(poolOfModel("vap-wan", [open, named])).toBe(named);
    expect(poolOfModel("vap-wan", [named, open])).toBe(named);
  });

  it("is else the one that names none", () => {
    expect(poolOfModel("vap-cogvideox", [named, open])).toBe(open);
  });

  it("is none where every pool has names and no pool has this one", () => {
    expect(poolOfModel("vap-cogvideox", [named])).toBeUndefined();
    expect(poolOfModel("vap-cogvideox", [{ name: "empty", models: [] }])).toBeUndefined();
  });
});
