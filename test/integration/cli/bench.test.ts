import { copyFile, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "../../../services/cli/exit-codes.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import {
  type GetRunRequest,
  type GetSuiteRequest,
  type ImportSuiteRequest,
  type StartRunRequest,
  Suite,
  type SuiteRow,
} from "../../../services/gen/proto/vapfarm/v1/bench.ts";
import { JobEvent, JobState } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { BenchCli } from "../../support/bench-cli.ts";
import { benchRuns, importedRows } from "../../support/bench-handlers.ts";
import { benchWorld } from "../../support/bench-world.ts";
import { projectRoot, runTestFfmpeg } from "../../support/ffmpeg.ts";
import type { Handlers } from "../../support/scripted-farm.ts";

let bench: BenchCli;
beforeAll(async () => {
  bench = await BenchCli.open();
});
afterAll(() => bench.close());

describe("bench import", () => {
  it("tells of every clip that is none, at each cell that names it, and sends nothing", async () => {
    await writeFile(join(bench.root, "empty.mp4"), "");
    const whole = await readFile(join(bench.root, "clips/a.mp4"));
    await writeFile(join(bench.root, "cut.mp4"), whole.subarray(0, whole.length - 400));
    await writeFile(join(bench.root, "noise.mp4"), Buffer.alloc(5000, 7));
    await copyFile(join(projectRoot, "demo/image.png"), join(bench.root, "image.mp4"));
    await symlink("/etc/passwd", join(bench.root, "out.mp4"));
    await symlink("nowhere", join(bench.root, "dangling.mp4"));
    const rows = ["empty", "cut", "noise", "image", "out", "dangling", "missing"].map((name) => `${name}.mp4,clips/a.mp4,t,c`);
    const file = await bench.csv("bad.csv", ...rows, "clips/a.mp4,empty.mp4,,c", "clips,clips/a.mp4,t,c");
    const { code, stderr } = await bench.run({}, "import", file, "--root", bench.root);
    expect(code).toBe(exitCodes.invalid);
    for (const fault of [
      /bad\.csv:2:1 video_paths.*empty\.mp4: is empty/,
      /bad\.csv:3:1 video_paths.*cut\.mp4: MEDIA_TRUNCATED/,
      /bad\.csv:4:1 video_paths.*noise\.mp4: MEDIA_NOT_DECODABLE/,
      /bad\.csv:5:1 video_paths.*image\.mp4: is an image of \d+x\d+, not a clip/,
      /bad\.csv:6:1 video_paths.*out\.mp4: is a link that leads out of the root/,
      /bad\.csv:7:1 video_paths.*dangling\.mp4: is a link to nothing/,
      /bad\.csv:8:1 video_paths.*missing\.mp4: there is no such file/,
      /bad\.csv:9:13 ref_video_path.*empty\.mp4: is empty/,
      /bad\.csv:9:23 tar_video_caption.*is empty/,
      /bad\.csv:10:1 video_paths.*clips: is a folder/,
    ]) {
      expect(stderr).toMatch(fault);
    }
    expect(bench.farm.calls).toEqual([]);
  });

  it("uploads each clip once and sends rows whose id the farm can check", async () => {
    let sent: Awaited<ReturnType<typeof importedRows>> | undefined;
    const handlers: Handlers = {
      async importSuite(messages: AsyncIterable<ImportSuiteRequest>) {
        sent = await importedRows(messages);
        return {
          suite: Suite.create({ suiteId: sent.header.suiteId, name: sent.header.name, rowCount: sent.rows.length }),
          existed: true,
          faults: [],
        };
      },
    };
    const file = await bench.csv(
      "good.csv",
      'clips/a.mp4,clips/b.mp4,"a ""cat"",\n🐈",c',
      "clips/a.mp4,clips/b.mp4,other,c",
      "clips/b.mp4,clips/a.mp4,t,c",
    );
    const { code, stdout } = await bench.run(handlers, "import", file, "--root", bench.root);
    expect([code, stdout]).toEqual([exitCodes.ok, expect.stringContaining("was there already: good, 3 rows")]);
    expect(bench.farm.requests("beginUpload")).toHaveLength(2);
    expect(sent?.header.suiteId).toMatch(/^[0-9a-f]{64}$/);
    expect(sent?.rows.map(({ position, line, caption }) => [position, line, caption])).toEqual([
      [0, 2, 'a "cat",\n🐈'],
      [1, 4, "other"],
      [2, 5, "t"],
    ]);
    expect(new Set(sent?.rows.map(({ seed }) => seed)).size).toBe(3);
  });

  it("gives the same id and seeds whatever the clips are called, and others for another seed", async () => {
    await copyFile(join(bench.root, "clips/a.mp4"), join(bench.root, "renamed.mp4"));
    const id = async (file: string, ...more: readonly string[]): Promise<string> => {
      const { stdout } = await bench.run({}, "import", file, "--root", bench.root, "--dry-run", "--json", ...more);
      return (JSON.parse(stdout) as { readonly suiteId: string }).suiteId;
    };
    const first = await id(await bench.csv("one.csv", "clips/a.mp4,clips/b.mp4,t,c"));
    expect(await id(await bench.csv("two.csv", "renamed.mp4,./clips//b.mp4,t,c"))).toBe(first);
    expect(await id(join(bench.root, "one.csv"), "--seed", "7")).not.toBe(first);
    expect(bench.farm.calls).toEqual([]);
  });

  it("says where the row stands that the farm refuses", async () => {
    const faults = [{ position: 0, line: 2, field: "caption", reason: "is too long" }];
    const file = await bench.csv("one.csv", "clips/a.mp4,clips/b.mp4,t,c");
    const { code, stderr } = await bench.run(
      { importSuite: () => ({ suite: undefined, existed: false, faults }) },
      "import",
      file,
      "--root",
      bench.root,
    );
    expect([code, stderr]).toEqual([exitCodes.invalid, expect.stringContaining("one.csv:2:1 row 0 caption")]);
  });
});

describe("bench run", () => {
  it.each([
    ["succeeded", benchRuns.ours, exitCodes.ok],
    ["failed in part", benchRuns.theirs, exitCodes.failed],
  ])("that has %s ends with its scores and exit code", async (_name, { answer, run }, expected) => {
    const { code, stdout } = await bench.run(
      { startRun: () => ({ run, existed: false }), getRun: () => answer },
      "run",
      "benchmark",
      "--model",
      "demo",
    );
    expect(code).toBe(expected);
    expect(stdout).toMatch(/motion_smoothness +0\.98/);
  });

  it("tells which rows failed, and why", async () => {
    const { answer, run, items } = benchRuns.theirs;
    const handlers: Handlers = {
      startRun: () => ({ run, existed: false }),
      getRun: () => answer,
      listRunItems: () => ({ items, nextPageToken: "" }),
    };
    const { stdout, stderr } = await bench.run(handlers, "run", "benchmark", "--model", "demo");
    expect(stderr).toContain("row 3, prepare: MEDIA_TRUNCATED: the file ends before its last part");
    expect(stderr).not.toContain("row 4");
    expect(stdout).toContain(" of 480 scores have no value:");
    expect(stdout).toMatch(/ {2}1 nan: the flow network .* \(dynamic_degree\)/);
  });

  it("asks for what its options say", async () => {
    const options = ["--rows", "0-2,7", "--seeds", "2", "--metrics", "clip_score,dynamic_degree", "--steps", "4", "--guidance", "3.5", "--reuse", "none", "--panels", "--label", "L", "--detach"]; // prettier-ignore
    const { code, stdout } = await bench.run({}, "run", "benchmark", "--model", "demo", ...options);
    expect([code, stdout.trim()]).toEqual([exitCodes.ok, benchRuns.ours.run.runId]);
    expect(bench.farm.requests("startRun")[0]).toMatchObject({
      suite: "benchmark",
      model: "demo",
      rows: [0, 1, 2, 7],
      seeds: 2,
      metrics: [10, 5],
      withoutMetrics: false,
      steps: 4,
      guidanceScale: 3.5,
      reuse: 3,
      panels: true,
      label: "L",
      idempotencyKey: "",
    });
  });

  it.each(["", ","])("refuses --metrics %j, which an unset variable gives, instead of measuring everything", async (list) => {
    const { code, stderr } = await bench.run({}, "run", "benchmark", "--model", "demo", `--metrics=${list}`, "--detach");
    expect(code).toBe(exitCodes.invalid);
    expect(stderr).toContain("names no metric");
  });

  it("comes back to the run of the same request, and makes another when told to", async () => {
    const first = await bench.run({ startRun: () => ({ run: benchRuns.ours.run, existed: true }) }, "run", "benchmark", "--model", "demo");
    expect(first.stderr).toContain(`run ${benchRuns.ours.run.runId} is succeeded; --again makes another`);
    await bench.run({}, "run", "benchmark", "--model", "demo", "--again", "--metrics", "none", "--detach");
    const { idempotencyKey, withoutMetrics } = bench.farm.requests("startRun")[0] as StartRunRequest;
    expect([/^again-.{36}$/.test(idempotencyKey), withoutMetrics]).toEqual([true, true]);
  });

  it("goes on when the person leaves, and says how to come back", async () => {
    const running = benchWorld({ failed: [] });
    const open = { ...running.answer, run: { ...running.run, state: "running", succeededCount: 10, endTime: undefined } };
    const handlers: Handlers = {
      getRun: () => open,
      async *watchJob() {
        await new Promise(() => undefined);
        yield {};
      },
    };
    const cli = await bench.play(handlers, { columns: 100, rows: 40 });
    const done = cli.run("bench", "run", "benchmark", "--model", "demo");
    await cli.printed("renders 10/48 succeeded");
    cli.interrupt();
    expect(await done).toBe(exitCodes.interrupted);
    expect(cli.stderr()).toContain("The run goes on. Come back to it");
    expect(bench.farm.requests("cancelJob")).toEqual([]);
  });

  it("asks for counts alone between its looks at scores, whose means stay, and for scores at the end", async () => {
    const asked: boolean[] = [];
    const { run, answer } = benchRuns.ours;
    const farmEnds = Promise.withResolvers<undefined>();
    const handlers: Handlers = {
      getRun({ withoutScores }: GetRunRequest) {
        asked.push(withoutScores);
        const isOpen = asked.length < 3;
        const counts = isOpen ? { ...run, state: "running", succeededCount: 9 + asked.length, failedCount: 0, endTime: undefined } : run;
        return { ...(withoutScores ? { setScores: [] } : answer), run: counts };
      },
      async *watchJob() {
        await farmEnds.promise;
        yield { update: { $case: "event", value: JobEvent.create({ number: 3n, jobState: JobState.JOB_STATE_SUCCEEDED }) } };
      },
    };
    const cli = await bench.play(handlers, { columns: 100, rows: 40 });
    const done = cli.run("bench", "run", "benchmark", "--model", "demo");
    await cli.printed("renders 11/48 succeeded");
    expect(asked).toEqual([false, true]);
    expect(cli.stdout().split("renders 11/48 succeeded")[1]).toContain("motion_smoothness");
    farmEnds.resolve(undefined);
    expect(await done).toBe(exitCodes.ok);
    expect(asked.at(-1)).toBe(false);
  });

  it("goes on through a farm that is away", async () => {
    let looks = 0;
    const handlers: Handlers = {
      getRun() {
        looks += 1;
        if (looks % 2 === 1) throw new FarmError("COORDINATOR_UNAVAILABLE");
        return benchRuns.ours.answer;
      },
    };
    expect((await bench.run(handlers, "run", "benchmark", "--model", "demo")).code).toBe(exitCodes.ok);
  });

  it("ends at once with what the farm says is wrong", async () => {
    const handlers: Handlers = {
      startRun() {
        throw new FarmError("SUITE_UNKNOWN", { message: "there is no suite benchmark" });
      },
    };
    const { code, stderr } = await bench.run(handlers, "run", "benchmark", "--model", "demo");
    expect([code, stderr]).toEqual([exitCodes.invalid, expect.stringContaining("there is no suite benchmark")]);
  });
});

describe("bench run of a file", () => {
  /** A farm that has imported what the file said once. */
  async function importedFrom(file: string): Promise<Handlers> {
    let rows: readonly SuiteRow[] = [];
    let suite = Suite.create();
    const handlers: Handlers = {
      async importSuite(messages: AsyncIterable<ImportSuiteRequest>) {
        const sent = await importedRows(messages);
        rows = sent.rows;
        suite = Suite.create({ ...sent.header, rowCount: rows.length });
        return { suite, existed: false, faults: [] };
      },
    };
    await bench.run(handlers, "import", file, "--root", bench.root);
    return {
      listSuites: () => ({ suites: [suite], nextPageToken: "" }),
      getSuite(request: GetSuiteRequest) {
        if (!suite.suiteId.startsWith(request.suite)) throw new FarmError("SUITE_UNKNOWN", { message: "no such suite" });
        return { suite, rows: rows.slice(request.firstRow, request.firstRow + request.rowLimit) };
      },
    };
  }

  it("is a run of the suite that it still is", async () => {
    const file = await bench.csv("same.csv", "clips/a.mp4,clips/b.mp4,t,c");
    const handlers = await importedFrom(file);
    expect((await bench.run(handlers, "run", file, "--root", bench.root, "--model", "demo", "--detach")).code).toBe(exitCodes.ok);
    expect((bench.farm.requests("startRun")[0] as StartRunRequest).suite).toMatch(/^[0-9a-f]{64}$/);
  });

  it("is refused when a clip was changed since, and names it", async () => {
    await copyFile(join(bench.root, "clips/a.mp4"), join(bench.root, "edited.mp4"));
    const file = await bench.csv("edited.csv", "clips/a.mp4,clips/b.mp4,t,c", "edited.mp4,clips/b.mp4,t,c");
    const handlers = await importedFrom(file);
    await runTestFfmpeg(["-i", join(bench.root, "clips/b.mp4"), "-vf", "hflip", join(bench.root, "edited.mp4")]);
    await writeFile(file, (await readFile(file, "utf8")).replace("clips/a.mp4,clips/b.mp4,t,c", "clips/a.mp4,clips/b.mp4,new caption,c"));
    const { code, stderr } = await bench.run(handlers, "run", file, "--root", bench.root, "--model", "demo");
    expect(code).toBe(exitCodes.invalid);
    expect(stderr).toContain("edited.mp4");
    expect(stderr).toContain("has other bytes than when it was imported");
    expect(stderr).toMatch(/row 0.*has another caption/);
    expect(bench.farm.requests("startRun")).toEqual([]);
  });

  it("is refused when it was never imported", async () => {
    const file = await bench.csv("never.csv", "clips/a.mp4,clips/b.mp4,t,c");
    const handlers: Handlers = {
      getSuite() {
        throw new FarmError("SUITE_UNKNOWN", { message: "no such suite" });
      },
    };
    const { code, stderr } = await bench.run(handlers, "run", file, "--root", bench.root, "--model", "demo");
    expect([code, stderr]).toEqual([exitCodes.invalid, expect.stringContaining("import it first")]);
  });
});
