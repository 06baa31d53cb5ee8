import { rmSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { compileCache } from "./test/support/compile-cache.ts";
import { LongestFirst, makeMemoryFolder } from "./tools/test-run.ts";

// Each file of tests has a process of its own, which loads much the same; as `vapfarm` does.
process.env["NODE_COMPILE_CACHE"] ??= compileCache.NODE_COMPILE_CACHE;

const memoryFolder = makeMemoryFolder();
if (memoryFolder !== undefined) {
  process.env["TMPDIR"] = memoryFolder;
  process.on("exit", () => rmSync(memoryFolder, { recursive: true, force: true }));
}

export default defineConfig({
  test: {
    exclude: ["test/bench/**"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    retry: 0,
    globalSetup: [],
    sequence: { sequencer: LongestFirst },
    projects: [
      // Functions without a world around them leave nothing behind: their files share processes.
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"], isolate: false } },
      { extends: true, test: { name: "farm", include: ["test/*/**/*.test.ts"], exclude: ["test/unit/**", "test/bench/**"] } },
    ],
  },
});
