import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openManifest } from "../../../services/platform/models/repository.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

let runtime: TestRuntime;
beforeAll(async () => {
  runtime = await startTestRuntime();
});
afterAll(() => runtime.stop());

const folderOf = (model: string): string => join(projectRoot, "models", model);
const engines = await Promise.all(
  ["demo", "demo-wan", "demo-metrics"].map(async (model) =>
    Object.values((await openManifest(folderOf(model))).engines).map((engine) => [model, engine.name, engine.digest] as const),
  ),
);

describe("a warm-up", () => {
  it.each(engines.flat())("of %s/%s loads the engine, runs it once, and leaves nothing", async (model, engine, digest) => {
    const call = {
      parameters: { $case: "warm", value: { engine } },
      modelFolder: folderOf(model),
      engineDigests: { [engine]: digest },
    } as const;
    const { result } = await runtime.run(call);
    expect([result.outputs, result.loadMs > 0, result.deviceMs >= result.loadMs]).toEqual([[], true, true]);
    // What remains is finding it open.
    expect((await runtime.run(call)).result.loadMs).toBeLessThan(Math.min(result.loadMs, 1));
  });

  it("refuses an engine of another digest, and one that there is not", async () => {
    const modelFolder = folderOf("demo");
    const warm = (engine: string, engineDigests: Readonly<Record<string, string>>) =>
      runtime.run({ parameters: { $case: "warm", value: { engine } }, modelFolder, engineDigests });
    await expect(warm("denoise", { denoise: "0".repeat(64) })).rejects.toMatchObject({ code: "ENGINE_DIGEST_MISMATCH" });
    await expect(warm("clip_encode", {})).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await expect(warm("none", {})).rejects.toMatchObject({ code: "STAGE_INPUT_INVALID" });
  });
});
