import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BatchResult } from "../../services/cli/batch/results.ts";
import type { Verdict } from "../../services/cli/doctor/verdict.ts";
import { runCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startInTerminal } from "../support/terminal.ts";

let farm: TestFarm;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-cli-farm-"));
  farm = await startTestFarm();
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

type BatchReport = { readonly jobs: readonly string[]; readonly renders: readonly BatchResult[] };
const on = (...args: readonly string[]): readonly string[] => [...args, "--address", farm.address];
const batch = async (file: string, ...more: readonly string[]): Promise<{ readonly code: number | null; readonly report: BatchReport }> => {
  const { code, stdout } = await runCli(on("render", "--file", file, "--out", join(folder, "out"), "--json", ...more));
  return { code, report: JSON.parse(stdout) as BatchReport };
};
const demoBatch = join(projectRoot, "demo/renders.yaml");

describe("a batch file on a farm", { timeout: 240_000 }, () => {
  it("is checked by a dry run, which stores no job", async () => {
    const { code, stdout } = await runCli(on("render", "--file", demoBatch, "--dry-run"));
    expect([code, stdout]).toEqual([0, "right, nothing was submitted: renders 3, jobs 1\n"]);
    expect(await farm.sql("select id from job")).toEqual([]);
  });

  it("is rendered whole, and a repeat renders and downloads nothing again", async () => {
    const first = await batch(demoBatch);
    expect(first.code).toBe(0);
    expect(first.report.renders.map(({ name, state, seed, position }) => [name, state, seed, position])).toEqual([
      ["inflate-0", "succeeded", "42", 0],
      ["inflate-1", "succeeded", "43", 1],
      ["deflate", "succeeded", "7", 2],
    ]);
    const [inflate, , deflate] = first.report.renders;
    expect(inflate?.files).toEqual({ mp4: join(folder, "out/inflate-0/inflate-0.mp4") });
    expect(Object.keys(deflate?.files ?? {}).sort()).toEqual(["latents", "mp4"]);
    expect((await readFile(inflate?.files["mp4"] ?? "")).subarray(4, 8).toString()).toBe("ftyp");
    const before = await stat(inflate?.files["mp4"] ?? "");
    const again = await batch(demoBatch);
    expect([again.code, again.report]).toEqual([0, first.report]);
    expect((await stat(inflate?.files["mp4"] ?? "")).mtimeMs).toBe(before.mtimeMs);
    expect(await farm.sql("select id from job")).toHaveLength(1);
  });

  it("tells what the farm refuses with the place in the file, and submits nothing", async () => {
    const file = join(folder, "wrong.jsonl");
    for (const name of ["image.png", "clip.mp4"]) await copyFile(join(projectRoot, "demo", name), join(folder, name));
    const render = { image: "image.png", prompt: "p", references: [{ media: "clip.mp4", prompt: "q" }] };
    await writeFile(
      file,
      [
        { model: "demo", ...render },
        { model: "nobody", ...render },
      ]
        .map((each) => JSON.stringify(each))
        .join("\n"),
    );
    const { code, stderr } = await runCli(on("render", "--file", file));
    expect(code).toBe(2);
    expect(stderr).toContain("wrong.jsonl:2:1 renders[1].model");
    expect(await farm.sql("select id from job")).toHaveLength(1);
  });

  it("prints a table for people, and the job's id with --detach", async () => {
    const table = await runCli(on("render", "--file", demoBatch, "--out", join(folder, "out")));
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/^inflate-1 +succeeded +43 +\S+inflate-1\.mp4$/m);
    expect(table.stdout).toContain("3 of 3 renders succeeded");
    const detached = await runCli(on("render", "--file", demoBatch, "--detach"));
    expect(detached.stdout.trim()).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("vapfarm top", { timeout: 120_000 }, () => {
  it("prints one snapshot without a terminal, and one object with --json", async () => {
    const { code, stdout } = await runCli(on("top"));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^vapfarm /);
    expect(stdout).toMatch(/^WORKERS \(2\)$/m);
    const asJson = await runCli(on("top", "--json"));
    expect(JSON.parse(asJson.stdout)).toMatchObject({ farm: { pools: [{}] }, workers: [{}, {}], queue: [] });
  });

  it("shows the farm in a terminal, follows its size, pauses, and gives the terminal back on q", async () => {
    const top = startInTerminal(on("top", "--interval", "0.2"));
    await top.shows(/WORKERS \(2\)[\s\S]*q quit/);
    expect(top.shown()).toContain("\u001B[?1049h");
    top.press("p");
    await top.shows(/PAUSED/);
    top.press("p");
    top.resize(60, 10);
    await top.shows(/lines 1-8 of \d+/);
    top.press("\u001B[6~");
    await top.shows(/lines (?!1-)\d+-\d+ of/);
    top.press("q");
    expect(await top.code).toBe(0);
    expect(top.shown()).toMatch(/\u001B\[\?7h\u001B\[\?25h\u001B\[\?1049l$/); // eslint-disable-line no-control-regex
  });

  it("ends with Ctrl-C as with q", async () => {
    const top = startInTerminal(on("top"));
    await top.shows(/q quit/);
    top.press("\u0003");
    expect(await top.code).toBe(0);
    expect(top.shown().endsWith("\u001B[?1049l")).toBe(true);
  });
});

describe("completion on a farm", () => {
  it("knows its jobs, workers, models and pools", async () => {
    const { description } = farm;
    const ask = async (kind: string): Promise<string> =>
      (await runCli(["__complete", kind, "job", "--address", description.grpcAddress])).stdout;
    expect(await ask("jobs")).toMatch(/^[0-9a-f-]{36}\tsucceeded /m);
    expect(await ask("models")).toBe("demo\tcogvideox\ndemo-wan\twan\n");
    expect((await ask("workers")).trim().split("\n")).toHaveLength(2);
    expect(await ask("pools")).toMatch(/^\S+\t\S+/);
  });
});

describe("vapfarm doctor on a farm", { timeout: 120_000 }, () => {
  it("finds a running farm sound by its data folder", async () => {
    const { code, stdout } = await runCli(["doctor", "--json", "--data", farm.dataFolder]);
    const { checks } = JSON.parse(stdout) as { readonly checks: readonly Verdict[] };
    expect(checks.filter(({ status }) => status === "fail")).toEqual([]);
    expect(code).toBe(0);
    for (const name of ["NATS", "JetStream", "Postgres", "migrations", "coordinator", "release", "readiness", "workers", "holds"]) {
      expect([name, checks.find((check) => check.name === name)?.status]).toEqual([name, "ok"]);
    }
  });
});

// The last: the farm is gone afterwards.
describe("vapfarm top of a farm that goes away", { timeout: 120_000 }, () => {
  it("keeps the last picture under a banner, and is up to date again when the farm is back", async () => {
    const port = farm.address.split(":")[1] ?? "";
    const top = startInTerminal(on("top", "--interval", "0.2"));
    await top.shows(/WORKERS \(2\)/);
    await farm.stop();
    await top.shows(/does not answer \([\s\S]*WORKERS/);
    farm = await startTestFarm({ args: ["--ephemeral", "--grpc-address", `127.0.0.1:${port}`] });
    top.press("g");
    // A whole new picture: its title is not followed by the banner.
    await top.shows(/\d open jobs[^\n]*\r\n(?!.*does not answer)/);
    top.press("q");
    expect(await top.code).toBe(0);
  });
});
