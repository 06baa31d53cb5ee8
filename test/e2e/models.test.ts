import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import type { ChangedModel } from "../support/changed-model.ts";
import { runCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { demoFolder, demoWithReferences } from "../support/pushed-models.ts";

let farm: TestFarm;
let models = "";
let other: ChangedModel;

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), "vapfarm-models-"));
  await cp(demoFolder, join(models, "demo"), { recursive: true });
  other = await demoWithReferences(2);
  const environment = { VAPFARM_MODELS_RESCAN_MS: "100", VAPFARM_PRELOAD: "demo/denoise" };
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1", "--models", models], environment });
});
afterAll(async () => {
  await farm.stop();
  await other.remove();
  await rm(models, { recursive: true });
});

async function run(...args: readonly string[]) {
  const { code, stdout, stderr } = await runCli(["models", ...args, "--json"], { VAPFARM_ADDRESS: farm.address });
  return { code, stderr, answer: (stdout === "" ? undefined : JSON.parse(stdout)) as never };
}
const ok = async <T>(...args: readonly string[]): Promise<T> => {
  const { code, stderr, answer } = await run(...args);
  expect([code, stderr]).toEqual([0, ""]);
  return answer;
};

test("a version is pushed, named, pulled to a node, rendered with, damaged, mended, and let go", async () => {
  const { version } = await ok<{ version: { version: string } }>("push", other.folder, "--alias", "prod");
  const pinned = `demo:${version.version}`;
  const store = ["--artifacts", farm.description.artifacts];
  const pulled = await ok<{ versions: { pulledBytes: number; localBytes: number }[] }>("pull", "--to", models, ...store);
  expect(pulled.versions).toMatchObject([{ reference: pinned, localBytes: 0 }]);
  const folder = join(models, `demo@${version.version}`);

  const image = (await upload(farm.client, `${projectRoot}demo/image.png`)).sha256;
  const clip = (await upload(farm.client, `${projectRoot}demo/clip.mp4`)).sha256;
  const asked = { image: { sha256: image }, references: [{ sha256: clip }], referencePrompts: ["A ball rolls."], steps: 2 };
  const rendered = await submit(farm.client, submission({ ...asked, model: "demo@prod" }));
  const plain = await submit(farm.client, submission({ ...asked, model: "demo" }));
  for (const [{ jobId }, model] of [
    [rendered, pinned],
    [plain, "demo"],
  ] as const) {
    const { job } = await watchUntilEnd(farm.client, jobId);
    expect([job.state, job.render?.model, job.artifacts.map(({ name }) => name)]).toEqual([JobState.JOB_STATE_SUCCEEDED, model, ["mp4"]]);
  }
  const { versions } = await ok<{ versions: { workers: number; aliases: string[] }[] }>("versions", "demo");
  expect(versions).toMatchObject([{ version: version.version, aliases: ["prod"], workers: 1 }]);

  await writeFile(join(folder, "denoise/1/model.onnx"), "damaged", { flag: "r+" });
  const found = await run("verify", models);
  expect([found.code, found.stderr]).toEqual([1, expect.stringContaining("MODEL_FILES_DAMAGED")]);
  expect(found.answer).toMatchObject({
    folders: [
      { reference: "demo", bad: [] },
      { reference: pinned, bad: [{ path: "denoise/1/model.onnx" }] },
    ],
  });
  const mended = await ok<{ folders: object[] }>("verify", folder, "--repair", ...store);
  expect(mended.folders).toMatchObject([{ reference: pinned, repairedBytes: expect.any(Number) as number }]);
  await ok("verify", models);

  const refused = await run("gc", "--in", models, "--budget", "1KiB");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("alias prod")]);
  await ok("alias", "demo@prod", "--delete");
  expect(await ok("gc", "demo", "--keep", "0s")).toMatchObject({ versions: [{ version: version.version, keptBy: "" }] });
  expect(await ok("gc", "--in", models, "--budget", "1KiB")).toMatchObject({ evicted: [{ reference: pinned }] });
  expect((await readdir(models)).filter((name) => !name.startsWith("."))).toEqual(["demo"]);
  await mkdir(join(models, "empty"));
  expect((await run("pull", "demo@prod", "--to", models)).stderr).toContain("MODEL_VERSION_UNKNOWN");
});
