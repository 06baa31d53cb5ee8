import { describe, expect, it } from "vitest";
import { parseStat, readProcess } from "../../../services/worker/supervise/process-table.ts";

describe("the process table", () => {
  it("reads state and start time past a name with spaces and brackets", () => {
    const fields = ["T", ...Array.from({ length: 18 }, (_, index) => String(index)), "4242", "more"];
    expect(parseStat(`17 (a b) c) ${fields.join(" ")}`)).toEqual({ state: "T", startTime: "4242" });
  });

  it("knows this process, and says nothing of one that is not", async () => {
    const own = await readProcess(process.pid);
    expect(own?.startTime).toMatch(/^\d+$/);
    expect(own?.commandLine.length).toBeGreaterThan(0);
    expect(await readProcess(2 ** 30)).toBeUndefined();
  });
});
