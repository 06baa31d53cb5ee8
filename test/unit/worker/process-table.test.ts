import { describe, expect, it } from "vitest";
import { parseMemory, parseStat, readMemory, readProcess } from "../../../services/worker/supervise/process-table.ts";

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

  it("reads what a process holds of the memory and the most that it held, in bytes", async () => {
    const status = "Name:\ta\nVmPeak:\t    9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nRssAnon:\t   7 kB\n";
    expect(parseMemory(status)).toEqual({ residentBytes: 1_048_576, peakBytes: 2_097_152 });
    expect(parseMemory("Name:\ta\nState:\tZ (zombie)\n")).toBeUndefined();
    const own = await readMemory(process.pid);
    expect(own?.residentBytes).toBeGreaterThan(10_000_000);
    expect(own?.peakBytes).toBeGreaterThanOrEqual(own?.residentBytes ?? Infinity);
    expect(await readMemory(2 ** 30)).toBeUndefined();
  });
});
