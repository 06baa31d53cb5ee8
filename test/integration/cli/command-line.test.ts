import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RenderReport } from "../../../services/cli/render/report.ts";
import { decodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { Farm } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { startCli, runCli } from "../../support/cli.ts";
import { cleanEnvironment } from "../../support/farm.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { requireAddress } from "../../../services/cli/farm-address.ts";
import { startScriptedFarm } from "../../support/scripted-farm.ts";

const commands = ["up", "render", "watch", "jobs", "job", "cancel", "workers", "usage", "hold", "version", "migrate", "demo"];
const media = [
  ...["--image", join(projectRoot, "demo/image.png"), "--reference", join(projectRoot, "demo/clip.mp4")],
  ...["--reference-prompt", "A ball.", "--prompt", "A pot.", "--seed", "5"],
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-cli-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the command line", () => {
  it("lists its commands and exit codes", async () => {
    const { code, stdout } = await runCli(["--help"]);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    expect(stdout).toContain("130  interrupted");
  });

  it("has help with examples for every command", async () => {
    const outcomes = await Promise.all(commands.map((command) => runCli([command, "--help"])));
    for (const { code, stdout } of outcomes) {
      expect(code).toBe(0);
      expect(stdout).toContain("Examples:\n  $ ");
      expect(stdout).toContain("--json");
    }
  });

  it.each([
    ["an unknown command", ["bogus"]],
    ["an unknown option", ["workers", "--bogus"]],
    ["a missing option", ["render", "--model", "demo"]],
    ["a missing argument", ["watch"]],
    ["a number that is none", ["up", "--workers", "many"]],
    ["a file that is not there", ["render", "--model", "demo", "--image", "/nowhere.png", "--prompt", "p"]],
  ])("ends with 2 for %s", async (_what, args) => {
    const { code, stderr, stdout } = await runCli(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/error/);
  });

  it("ends with 3 and says what to do when no farm can be reached", async () => {
    const nobody = await runCli(["workers"], { VAPFARM_DATA: folder });
    expect(nobody).toMatchObject({ code: 3, stdout: "" });
    expect(nobody.stderr).toContain("vapfarm up");
    const refused = await runCli(["job", "x", "--address", "127.0.0.1:1", "--json"]);
    expect(refused.code).toBe(3);
    expect(refused.stdout).toBe("");
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "COORDINATOR_UNAVAILABLE" } });
  });

  it("names every wrong field as JSON", async () => {
    const { code, stderr } = await runCli(["render", "--model", "demo", ...media, "--steps", "x", "--outputs", "gif", "--json"]);
    expect(code).toBe(2);
    const { error } = JSON.parse(stderr) as { error: { code: string; fields: { field: string }[] } };
    expect([error.code, error.fields.map(({ field }) => field)]).toEqual(["FIELD_INVALID", ["render.steps", "render.outputs[0]"]]);
  });

  it("asks for DATABASE_URL before it migrates", async () => {
    const { code, stderr } = await runCli(["migrate"]);
    expect(code).toBe(2);
    expect(stderr).toContain("DATABASE_URL");
  });
});

describe("render --local", () => {
  it("renders without a farm: mp4, latents, frames, contact sheet and the seconds of each stage", async () => {
    const args = ["render", "--local", "--model", "demo", ...media, "--steps", "4", "--outputs", "mp4,latents,frames", "--out", folder];
    const { code, stdout, stderr } = await runCli([...args, "--json"]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as RenderReport;
    expect(report).toMatchObject({ state: "succeeded", seed: "5", hasRandomWeights: true });
    const stages = new Set(report.stages.map(({ stage }) => stage));
    expect([...stages].sort()).toEqual(["denoise", "prepare", "text_encode", "vae_decode", "vae_encode"]);
    expect(report.stages.every(({ provider, computeMs }) => provider === "cpu" && computeMs > 0)).toBe(true);
    const { tensors } = decodeSafetensors(await readFile(report.files["frames"] ?? ""));
    expect(tensors.get("frames")?.shape).toEqual([17, 48, 64, 3]);
    expect((await stat(report.files["mp4"] ?? "")).size).toBeGreaterThan(1000);
    const sheet = await sharp(report.files["contact sheet"]).metadata();
    expect(sheet).toMatchObject({ format: "png", width: 768 });
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("draws the same latents from the same seed", async () => {
    const render = async (out: string): Promise<string> => {
      const args = [
        "render",
        "--local",
        "--model",
        "demo",
        ...media,
        "--steps",
        "2",
        "--outputs",
        "latents",
        "--json",
        "--out",
        join(folder, out),
      ];
      const report = JSON.parse((await runCli(args)).stdout) as RenderReport;
      return (await readFile(report.files["latents"] ?? "")).toString("hex");
    };
    expect(await render("first")).toBe(await render("second"));
  });

  it.each([
    ["a model that is not there", ["--model", "nothing"], { code: "MODEL_UNKNOWN", field: "render.model" }],
    ["too many steps", ["--model", "demo", "--steps", "1001"], { code: "FIELD_INVALID", field: "render.steps" }],
    [
      "a reference prompt too many",
      ["--model", "demo", "--reference-prompt", "x"],
      { code: "FIELD_INVALID", field: "render.reference_prompts" },
    ],
  ])("answers like the farm to %s", async (_what, args, expected) => {
    const { code, stderr } = await runCli(["render", "--local", ...media, ...args, "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: expected.code, fields: [{ field: expected.field }] } });
  });

  it("ends within a step when interrupted, and leaves nothing", async () => {
    const out = join(folder, "interrupted");
    const run = startCli(["render", "--local", "--model", "demo", ...media, "--steps", "1000", "--out", out]);
    await run.printed(/denoise {4,}\d+%/);
    run.process.kill("SIGINT");
    const { code, stderr } = await run.outcome;
    expect(code).toBe(130);
    expect(stderr).toContain("interrupted");
    await expect(stat(out)).rejects.toThrow();
  });
});

describe("a pipe whose reader has seen enough", () => {
  it("ends the command quietly", async () => {
    const farm = await startScriptedFarm({ getFarm: () => ({ farm: Farm.create({ name: "local" }) }) });
    const piped = `"${projectRoot}/vapfarm" farm --watch --interval 100ms --address ${farm.address} | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", piped], { env: cleanEnvironment() });
    await farm.stop();
    expect(stdout).toMatch(/^farm local, .*\n0\n$/);
    expect(stderr).toBe("");
  });
});

describe("an output that takes no more", () => {
  it.each(["farm", "farm --json"])("ends `%s` as failed, in words", async (command) => {
    const farm = await startScriptedFarm({ getFarm: () => ({ farm: Farm.create({ name: "local" }) }) });
    const full = `"${projectRoot}/vapfarm" ${command} --address ${farm.address} > /dev/full; echo "$?"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", full], { env: cleanEnvironment() });
    await farm.stop();
    expect(stdout).toBe("1\n");
    expect(stderr).toMatch(/^error: the output cannot be written: ENOSPC.*\n$/);
  });
});

describe("an address", () => {
  it.each(["", "farm", "farm:port", "farm:70000", "https://farm:1", ":1", "a b:1"])("that is none is refused at once: '%s'", (text) => {
    expect(() => requireAddress("--address", text)).toThrow(/^--address: .* is not host:port$/);
  });

  it.each(["127.0.0.1:7443", "farm.example:1", "[::1]:7443", "unix:/run/farm.sock"])("is taken as it is: %s", (text) => {
    expect(requireAddress("--address", text)).toBe(text);
  });
});
