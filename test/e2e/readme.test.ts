/**
 * The README's examples for programs, run as they stand there by bash against a whole farm. `grpcurl` is the machine's own where it has one;
 * elsewhere `buf curl` stands in (test/support/grpcurl), because no package registry of ours carries grpcurl.
 */
import { execFile } from "node:child_process";
import { access, chmod, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../support/ffmpeg.ts";
import { cleanEnvironment, startTestFarm, type TestFarm } from "../support/farm.ts";

const run = promisify(execFile);
const marker = "<!-- run by test/e2e/readme.test.ts -->\n```sh\n";

let farm: TestFarm;
let folder: string;
let scripts: readonly string[];

beforeAll(async () => {
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"] });
  folder = await mkdtemp(join(tmpdir(), "vapfarm-readme-"));
  await cp(join(projectRoot, "demo"), join(folder, "demo"), { recursive: true });
  await writeStandIns();
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

/** Programs that the machine may lack: grpcurl, and jq for the one filter form that the README uses. */
async function writeStandIns(): Promise<void> {
  const node = join(projectRoot, "node_modules/.bin/node");
  for (const [name, script] of [
    ["grpcurl", join(projectRoot, "test/support/grpcurl/grpcurl.ts")],
    ["jq", join(projectRoot, "test/support/grpcurl/jq.ts")],
  ] as const) {
    if (await isInstalled(name)) continue;
    await writeFile(join(folder, name), `#!/bin/sh\nexec ${node} ${script} "$@"\n`);
    await chmod(join(folder, name), 0o755);
  }
}

async function isInstalled(program: string): Promise<boolean> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = await Promise.all(folders.map((each) => access(join(each, program)).then(() => true, () => false))); // prettier-ignore
  return found.includes(true);
}

describe("the README's examples for programs", () => {
  test("are there: one block for gRPC, one for HTTP", () => {
    expect(scripts.map((script) => /^\w+/.exec(script)?.[0])).toEqual(["grpcurl", "curl"]);
  });

  test("run as they stand, and leave the same result by every way", { timeout: 240_000 }, async () => {
    const http = farm.description.processes.find(({ name }) => name === "coordinator")?.httpAddress ?? "";
    const environment = { GRPC: farm.address, HTTP: `http://${http}`, PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}` };
    const script = `set -euo pipefail\n${scripts.join("\n")}\n`;
    const options = { cwd: folder, env: cleanEnvironment(environment), maxBuffer: 64 * 1024 ** 2, timeout: 200_000 };
    const { stdout } = await run("bash", ["-c", script], options);
    for (const part of ["vapfarm.v1.FarmService", "job.submitted", "job.succeeded", "event: event"]) expect(stdout).toContain(part);
    const [direct, signed] = await Promise.all(["result.mp4", "same.mp4"].map((name) => readFile(join(folder, name))));
    expect(direct?.subarray(4, 8).toString()).toBe("ftyp");
    expect(signed?.equals(direct ?? Buffer.alloc(0))).toBe(true);
  });
});
