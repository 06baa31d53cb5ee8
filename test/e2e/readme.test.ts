/**
 * The README's examples for programs, run as they stand there by bash, with a real grpcurl and curl, against a whole farm.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../support/ffmpeg.ts";
import { findGrpcurl } from "../support/grpcurl.ts";
import { cleanEnvironment, startTestFarm, type TestFarm } from "../support/farm.ts";

const run = promisify(execFile);
const marker = "<!-- run by test/e2e/readme.test.ts -->\n```sh\n";

let farm: TestFarm;
let folder: string;
let programs: string;
let scripts: readonly string[];

beforeAll(async () => {
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"] });
  folder = await mkdtemp(join(tmpdir(), "vapfarm-readme-"));
  await cp(join(projectRoot, "demo"), join(folder, "demo"), { recursive: true });
  programs = await findGrpcurl();
  const readme = await readFile(join(projectRoot, "README.md"), "utf8");
  scripts = readme
    .split(marker)
    .slice(1)
    .map((text) => text.slice(0, text.indexOf("\n```")));
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("the README's examples for programs", () => {
  test("are there: one block for gRPC, one for HTTP", () => {
    expect(scripts.map((script) => /^\w+/.exec(script)?.[0])).toEqual(["grpcurl", "curl"]);
  });

  test("run as they stand, and leave the same result by every way", { timeout: 240_000 }, async () => {
    const http = farm.description.processes.find(({ name }) => name === "coordinator")?.httpAddress ?? "";
    const environment = { GRPC: farm.address, HTTP: `http://${http}`, PATH: `${programs}${delimiter}${process.env["PATH"] ?? ""}` };
    const script = `set -euo pipefail\n${scripts.join("\n")}\n`;
    const options = { cwd: folder, env: cleanEnvironment(environment), maxBuffer: 64 * 1024 ** 2, timeout: 200_000 };
    const { stdout } = await run("bash", ["-c", script], options);
    for (const part of ["vapfarm.v1.FarmService", "job.submitted", "job.succeeded", "event: event"]) expect(stdout).toContain(part);
    const direct = await readFile(join(folder, "result.mp4"));
    expect(direct.subarray(4, 8).toString()).toBe("ftyp");
    const signed = /"url": ?"([^"]+)"/.exec(stdout)?.[1] ?? "";
    expect(Buffer.from(await (await fetch(signed)).arrayBuffer()).equals(direct)).toBe(true);
  });
});
