import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "../../../services/cli/exit-codes.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { BenchCli } from "../../support/bench-cli.ts";
import { benchRuns } from "../../support/bench-handlers.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import type { Handlers } from "../../support/scripted-farm.ts";

let bench: BenchCli;
beforeAll(async () => {
  bench = await BenchCli.open();
});
afterAll(() => bench.close());

describe("bench report", () => {
  it("prints the model as JSON, and writes the lines of every row", async () => {
    const path = join(bench.root, "scores.csv");
    const { code, stdout } = await bench.run(
      {},
      "report",
      "0199a3f2",
      "--compare",
      "0199b771",
      "--votes",
      "spring-study",
      "--csv",
      path,
      "--json",
    );
    expect(code).toBe(exitCodes.ok);
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      format: "vapfarm-bench-report/1",
      run: { runId: benchRuns.ours.run.runId, reuse: "inputs" },
      comparison: { pairedClips: 48 },
    });
    expect((await readFile(path, "utf8")).split("\r\n")).toHaveLength(1 + 480 + 1);
  });

  it("has clips that the farm no longer has as cards that say so", async () => {
    const path = join(bench.root, "report.html");
    const handlers: Handlers = {
      // eslint-disable-next-line require-yield, @typescript-eslint/require-await -- a stream that fails
      async *downloadArtifact() {
        throw new FarmError("ARTIFACT_UNKNOWN", { message: "it was pruned" });
      },
    };
    const { code } = await bench.run(handlers, "report", "0199a3f2", "--html", path, "--clips", "worst");
    expect(code).toBe(exitCodes.ok);
    const page = await readFile(path, "utf8");
    expect(page).toContain("the clip could not be shown: it was pruned");
    expect(page).not.toContain("<video");
  });

  it.each([
    ["--clips", "some"],
    ["--clips-limit", "x"],
  ])("refuses %s %s", async (option, value) => {
    const { code, stderr } = await bench.run({}, "report", "0199a3f2", option, value);
    expect([code, stderr.includes(option)]).toEqual([exitCodes.invalid, true]);
  });
});

describe("bench export", () => {
  it("writes both of VBench's files", async () => {
    const { code, stdout } = await bench.run({}, "export", "0199a3f2", "--out", join(bench.root, "results"), "--name", "demo");
    expect(code).toBe(exitCodes.ok);
    expect(stdout.trim().split("\n").map((path) => path.split("/").at(-1))).toEqual(["demo_eval_results.json", "demo_full_info.json"]); // prettier-ignore
    const results = JSON.parse(await readFile(join(bench.root, "results/demo_eval_results.json"), "utf8")) as Record<
      string,
      readonly unknown[]
    >;
    expect(Object.keys(results)).toContain("subject_consistency");
  });

  it("refuses a name that leads elsewhere", async () => {
    expect((await bench.run({}, "export", "0199a3f2", "--out", bench.root, "--name", "../x")).code).toBe(exitCodes.invalid);
  });
});

describe("votes and results from elsewhere", () => {
  it("are refused whole, with every fault of the file", async () => {
    const file = join(bench.root, "votes.csv");
    await writeFile(file, "voter,trial,question,methods,choice\nr,t,style,a;b,c\n");
    const { code, stderr } = await bench.run({}, "import-votes", file);
    expect(code).toBe(exitCodes.invalid);
    expect(stderr).toMatch(/votes\.csv:2:5 question[\s\S]*votes\.csv:2:15 choice/);
    expect(bench.farm.requests("importVotes")).toEqual([]);
  });

  it("are handed in verbatim under the name before _eval_results.json", async () => {
    const file = join(projectRoot, "test/fixtures/bench/kling_eval_results.json");
    const { stdout, stderr } = await bench.run({}, "import-results", file);
    expect(bench.farm.requests("importResults")[0]).toEqual({ name: "kling", text: await readFile(file, "utf8") });
    expect(`${stdout}${stderr}`).toContain("$.motion_smoothness[1][1]: NaN");
  });

  it("are checked against their full info, of which nothing is sent", async () => {
    const file = join(projectRoot, "test/fixtures/bench/kling_eval_results.json");
    const fullInfo = join(bench.root, "kling_full_info.json");
    const entry = { prompt_en: "a cat", dimension: ["motion_smoothness"], video_list: ["other/alien.mp4"] };
    await writeFile(fullInfo, JSON.stringify([entry, { prompt_en: 7 }]));
    const { stdout, stderr } = await bench.run({}, "import-results", file, "--full-info", fullInfo);
    expect(bench.farm.requests("importResults")[0]).toEqual({ name: "kling", text: await readFile(file, "utf8") });
    expect(stdout).toContain("full info: 1 prompts, 1 dimensions, 1 videos; checked, not stored");
    expect(stderr).toContain("$[1].prompt_en: no text");
    expect(stderr).toContain("1 videos of the full info are not in the results: alien.mp4");
    const json = await bench.run({}, "import-results", file, "--full-info", fullInfo, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ name: "kling", fullInfo: { prompts: 1, dimensions: ["motion_smoothness"] } });
  });

  it("stay unsent when their full info cannot be read", async () => {
    const file = join(projectRoot, "test/fixtures/bench/kling_eval_results.json");
    const { code, stderr } = await bench.run({}, "import-results", file, "--full-info", join(bench.root, "none.json"));
    expect([code, stderr]).toEqual([exitCodes.invalid, expect.stringContaining("none.json cannot be read (ENOENT)")]);
    expect(bench.farm.requests("importResults")).toEqual([]);
  });
});
