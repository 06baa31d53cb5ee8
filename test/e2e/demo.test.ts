import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../support/cli.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-demo-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("vapfarm demo", { timeout: 180_000 }, () => {
  it("renders with a model of each variant on a farm of its own, runs a benchmark, shows where everything is and what landed in Postgres, and leaves nothing running", async () => {
    const { code, stdout, stderr } = await runCli(["demo", "--out", folder]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/gRPC +127\.0\.0\.1:\d+/);
    expect(stdout).toContain("random weights: output is noise by design");
    for (const name of ["mp4", "contact sheet"]) {
      const paths = [...stdout.matchAll(new RegExp(`^${name}: +(\\S+)$`, "gm"))].map(([, path = ""]) => path);
      expect(paths).toHaveLength(2);
      for (const path of paths) {
        expect(path.startsWith(folder)).toBe(true);
        expect((await stat(path)).size).toBeGreaterThan(1000);
      }
    }
    expect(stdout).toMatch(/denoise +succeeded +4 +4 /);
    expect(stdout).toMatch(/clip_encode +succeeded +2 +2 /);
    expect(stdout).toMatch(/score\/imaging_quality +succeeded +2 +2 /);
    // 10 tasks of CogVideoX, 14 of Wan; the pixels of image and clip are prepared once for both. The benchmark's two rows share all inputs.
    expect(stdout).toMatch(/usage +53 /);
    expect(stdout).toMatch(/metric_value +20 /);
    expect(await readFile(join(folder, "benchmark.html"), "utf8")).toContain("data:video/mp4;base64,");
    expect(stderr).toMatch(/stopped; the whole demo took [\d.]+ s/);
    const data = /^ +data +(\S+)$/m.exec(stdout)?.[1] ?? "";
    await expect(stat(data)).rejects.toThrow();
  });
});
