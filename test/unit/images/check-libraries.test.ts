import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectRoot } from "../../support/ffmpeg.ts";

const binding = "onnxruntime_binding.node";
const library = "libonnxruntime.so.1";
const from = join(projectRoot, "node_modules/onnxruntime-node/bin/napi-v6/linux", process.arch);

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-libraries-"));
  await copyFile(join(from, binding), join(folder, binding));
});
afterEach(() => rm(folder, { recursive: true }));

async function check(): Promise<string> {
  const run = promisify(execFile)("sh", [join(projectRoot, "deploy/docker/check-libraries.sh"), folder]);
  return await run.then(
    () => "",
    (thrown: unknown) => (thrown as { readonly stderr: string }).stderr,
  );
}

/** The binding, asking for another library in place of onnxruntime's. */
async function makeItNeed(name: string): Promise<void> {
  const bytes = await readFile(join(folder, binding), "latin1");
  expect(bytes).toContain(library);
  await writeFile(join(folder, binding), bytes.replaceAll(library, name.padEnd(library.length, "\0")), "latin1");
}

it("takes libraries that find what they need, also beside them", async () => {
  await copyFile(join(from, library), join(folder, library));
  expect(await check()).toBe("");
});

it("names what a library needs and the image does not have", async () => {
  expect(await check()).toBe(`${binding} needs ${library}, which this image does not have\n`);
  await makeItNeed("libcudart.so.99");
  expect(await check()).toBe(`${binding} needs libcudart.so.99, which this image does not have\n`);
});

it("names a library that is there in another version", async () => {
  await makeItNeed("libdl.so.2");
  expect(await check()).toMatch(/libdl\.so\.2: version `VERS_[^']*' not found/);
});

it("refuses what the loader cannot read", async () => {
  await writeFile(join(folder, binding), "no library");
  expect(await check()).toContain(`${binding} cannot be looked into`);
});

it("lets the driver's library alone be missing", async () => {
  await makeItNeed("libcuda.so.1");
  expect(await check()).toBe("");
});
