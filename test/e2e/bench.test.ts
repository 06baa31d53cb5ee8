/**
 * A benchmark from its CSV file to its report, on a real farm with the small models: what lands, what survives, what a wrong row does.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layoutOf } from "../../services/cli/data-folder.ts";
import { readEvalResults } from "../../services/domain/vbench/eval-results-reader.ts";
import { metricNames } from "../../services/domain/vbench/metric.ts";
import { makeBenchSuite } from "../../tools/make-bench-suite.ts";
import { runCli, startCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { runTestFfmpeg, testFfmpegPath } from "../support/ffmpeg.ts";

const conditions = 2;
const rows = 2 * conditions;

let farm: TestFarm;
let folder: string;
let table: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-bench-"));
  table = join(folder, "benchmark.csv");
  await makeBenchSuite(folder, { ffmpegPath: await testFfmpegPath(), of: conditions });
  farm = await startTestFarm();
  const { code } = await bench("import", table, "--root", folder, "--name", "small");
  expect(code).toBe(0);
}, 120_000);
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

const bench = (...args: readonly string[]) => runCli(["bench", ...args, "--address", farm.address]);

type ScoreRow = { readonly row_position: number; readonly metric: string; readonly status: string; readonly value: number | null };

/** The values of a run, by row and metric. */
async function valuesOf(label: string): Promise<readonly ScoreRow[]> {
  return await farm.sql<ScoreRow>(
    `select i.row_position, v.metric, v.status, v.value from bench_run b join bench_item i on i.job_id = b.job_id
     join render r on r.job_id = i.job_id and r.position = i.position join task_user u on u.render_id = r.id
     join task_score s on s.task_id = u.task_id join metric_value v on v.id = s.value_id where b.label = $1 order by 1, 2`,
    [label],
  );
}

async function runOf(label: string): Promise<string> {
  const [run] = await farm.sql<{ job_id: string }>("select job_id from bench_run where label = $1", [label]);
  return run?.job_id ?? "";
}

describe("a benchmark run", { timeout: 240_000 }, () => {
  it("renders and measures every row, with its clips and panels, and is found again by the same request", async () => {
    const out = join(folder, "clips");
    const request = ["run", "small", "--model", "demo", "--steps", "2", "--panels", "--label", "whole"];
    const { code, stdout } = await bench(...request, "--out", out);
    expect(stdout).toContain("RANDOM".toLowerCase());
    expect(code).toBe(0);
    const values = await valuesOf("whole");
    expect(values).toHaveLength(rows * metricNames.length);
    expect(values.filter(({ status, value }) => status !== "ok" || value === null)).toEqual([]);
    expect((await readdir(out)).filter((name) => name.endsWith(".mp4"))).toHaveLength(2 * rows);
    const again = await bench(...request, "--json");
    expect(again.code).toBe(0);
    expect(await farm.sql("select 1 from bench_run")).toHaveLength(1);
  });

  it("reports as text, data and a page, and exports what VBench's reader and ours understand", async () => {
    const run = await runOf("whole");
    const page = join(folder, "report.html");
    const report = await bench("report", run, "--html", page);
    expect(report.code).toBe(0);
    expect(report.stdout).toContain("Video-As-Prompt");
    const html = await readFile(page, "utf8");
    expect(html).toContain("data:video/mp4;base64,");
    expect(html.match(/data:image\/jpeg;base64,/g)).toHaveLength(html.match(/data:video\/mp4;base64,/g)?.length ?? 0);
    expect(html).not.toMatch(/(src|href)="https?:/);
    expect((await bench("report", run, "--json")).code).toBe(0);
    const exported = join(folder, "exported");
    expect((await bench("export", run, "--out", exported, "--name", "mine")).code).toBe(0);
    const text = await readFile(join(exported, "mine_eval_results.json"), "utf8");
    const read = readEvalResults(text);
    expect(read.faults).toEqual([]);
    const values = await valuesOf("whole");
    const flicker = read.dimensions.find(({ dimension }) => dimension === "temporal_flickering");
    expect(flicker?.videos.map(({ value }) => value)).toEqual(
      values.filter(({ metric }) => metric === "temporal_flickering").map(({ value }) => value),
    );
    expect((await bench("import-results", join(exported, "mine_eval_results.json"), "--name", "mine")).code).toBe(0);
    expect((await bench("report", run, "--compare", "imported:mine")).code).toBe(0);
  });

  it("has the same numbers although its workers were killed, each score once", async () => {
    const before = await valuesOf("whole");
    // Else the first value of each clip would stay, and hide another.
    await farm.sql("truncate metric_value, metric_series, task_score");
    const running = startCli([
      "bench",
      "run",
      "small",
      "--model",
      "demo",
      "--steps",
      "2",
      "--label",
      "killed",
      "--again",
      "--address",
      farm.address,
    ]);
    await running.printed(/scores [1-9]\d*\//);
    for (const { name, processId } of (await farm.running()).processes.filter((each) => each.name.startsWith("worker"))) {
      process.kill(processId, "SIGKILL");
      await farm.said(new RegExp(`${name} runs again`));
    }
    expect((await running.outcome).code).toBe(0);
    expect(await valuesOf("killed")).toEqual(before);
    const doubled = await farm.sql("select video_sha256, metric from metric_value group by 1, 2, conditioned_on having count(*) > 1");
    expect(doubled).toEqual([]);
  });

  it("fails a row whose clip is gone, with the reason, and no other", async () => {
    const gone = join(folder, "videos", "gone.mp4");
    await runTestFfmpeg(["-f", "lavfi", "-i", "testsrc=s=96x64:r=16:d=1", "-vf", "hue=h=77", "-pix_fmt", "yuv420p", gone]);
    const text = await readFile(table, "utf8");
    const other = join(folder, "with-gone.csv");
    await writeFile(other, `${text}"videos/gone.mp4","videos/inflate-reference.mp4","She says ""go"",\nsmiles 😀 </script>","b","gone"\n`);
    expect((await bench("import", other, "--root", folder, "--name", "gone")).code).toBe(0);
    const [row] = await farm.sql<{ target_sha256: string }>("select target_sha256 from suite_row where kind = 'gone'");
    const { artifacts } = layoutOf(farm.dataFolder);
    const stored = (await readdir(artifacts, { recursive: true })).filter((name) => name.endsWith(row?.target_sha256 ?? "none"));
    expect(stored).toHaveLength(1);
    for (const name of stored) await rm(join(artifacts, name), { force: true });
    const { code, stdout, stderr } = await bench(
      "run",
      "gone",
      "--model",
      "demo",
      "--steps",
      "2",
      "--label",
      "gone",
      "--metrics",
      "temporal_flickering",
    );
    expect(code).toBe(1);
    const states = await farm.sql<{ position: number; state: string; failure_code: string | null }>(
      "select r.position, r.state, r.failure_code from bench_run b join render r on r.job_id = b.job_id where b.label = 'gone' order by 1",
    );
    expect(states.map(({ state }) => state)).toEqual([...Array.from({ length: rows }, () => "succeeded"), "failed"]);
    expect(states.at(-1)?.failure_code).toMatch(/^ARTIFACT/);
    expect(stdout + stderr).toContain(states.at(-1)?.failure_code ?? "none");
    const report = await bench("report", await runOf("gone"));
    expect(report.stdout).toContain(states.at(-1)?.failure_code ?? "none");
  });

  it("of a file that was edited since its import says which clips are others", async () => {
    const copy = await mkdtemp(join(tmpdir(), "vapfarm-bench-edited-"));
    await makeBenchSuite(copy, { ffmpegPath: await testFfmpegPath(), of: conditions });
    expect((await bench("import", join(copy, "benchmark.csv"), "--root", copy)).code).toBe(0);
    await copyFile(join(copy, "videos", "melt-0.mp4"), join(copy, "videos", "melt-1.mp4"));
    const { code, stderr, stdout } = await bench(
      "run",
      join(copy, "benchmark.csv"),
      "--root",
      copy,
      "--model",
      "demo",
      "--label",
      randomUUID(),
    );
    await rm(copy, { recursive: true });
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("melt-1.mp4");
  });
});
