import { cp, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../support/ffmpeg.ts";
import { demoFolder, demoWithReferences } from "../../support/pushed-models.ts";
import { until } from "../../support/until.ts";
import { startWorkerFarm, type WorkerFarm } from "../../support/worker-farm.ts";

let farm: WorkerFarm;
beforeEach(async () => {
  farm = await startWorkerFarm();
});
afterEach(async () => {
  await farm.stop();
  expect(farm.coordinator.violations).toEqual([]);
});

const realRuntime = join(projectRoot, "services/worker/runtime/main.ts");
const readiness = async (address: string) => {
  const answer = await fetch(`http://${address}/readyz`);
  return { status: answer.status, text: await answer.text() };
};
const heldNow = () => farm.coordinator.nexts.at(-1)?.worker?.models ?? [];

describe("a worker that preloads", () => {
  it("is not ready and asks for no work before its engines have run", async () => {
    const FAKE_WARM = JSON.stringify({ until: farm.pathOf("go") });
    const worker = farm.createWorker({ settings: { VAPFARM_PRELOAD: "demo/denoise", FAKE_WARM } });
    const started = worker.start();
    await until("it loads", async () =>
      (await readiness(worker.httpAddress()).catch(() => ({ text: "" }))).text.includes("WORKER_STARTING"),
    );
    expect([(await readiness(worker.httpAddress())).status, farm.coordinator.nexts.length]).toEqual([503, 0]);
    await farm.release("go");
    await started;
    await until("it is ready", async () => (await readiness(worker.httpAddress())).status === 200);
    const [resident] = farm.coordinator.nexts[0]?.worker?.residentEngineDigests ?? [];
    expect(resident).toMatch(/^[0-9a-f]{64}$/);
  });

  it("loads them again after a death of its runtime, before it is ready again or asks for work", async () => {
    const FAKE_WARM = JSON.stringify({ until: farm.pathOf("go") });
    await farm.release("go");
    const worker = await farm.startWorker({ settings: { VAPFARM_PRELOAD: "demo/denoise", FAKE_WARM } });
    await until("it is ready", async () => (await readiness(worker.httpAddress())).status === 200);
    const before = await farm.runtimeId();
    await rm(farm.pathOf("go"));
    process.kill(before, "SIGKILL");
    await until("another runtime runs", async () => (await farm.runtimeId().catch(() => before)) !== before);
    await until("it loads", async () => (await readiness(worker.httpAddress())).text.includes("loads its engines"));
    const attemptId = farm.addScript({ steps: 1 });
    farm.push({ $case: "wake", value: {} });
    // One more death: what waits is not lost, and it is not ready for having been tried.
    const second = await farm.runtimeId();
    process.kill(second, "SIGKILL");
    await until("a third runtime runs", async () => (await farm.runtimeId().catch(() => second)) !== second);
    expect((await readiness(worker.httpAddress())).status).toBe(503);
    const done = () => farm.coordinator.committed.some((report) => report.attemptId === attemptId);
    expect(done()).toBe(false);
    await farm.release("go");
    await farm.coordinator.until(done);
    await until("it is ready", async () => (await readiness(worker.httpAddress())).status === 200);
    expect(farm.logged).toContain("the new stage runtime has its engines");
  });

  it("ends where they cannot be loaded again", async () => {
    const folder = farm.pathOf("models");
    await cp(demoFolder, join(folder, "demo"), { recursive: true });
    const settings = { VAPFARM_PRELOAD: "demo/denoise", VAPFARM_MODELS: folder, VAPFARM_MODELS_RESCAN_MS: "20" };
    const worker = await farm.startWorker({ settings });
    await rm(join(folder, "demo"), { recursive: true });
    await until("it holds none", () => farm.coordinator.nexts.length > 0 && heldNow().length === 0);
    process.kill(await farm.runtimeId(), "SIGKILL");
    expect(await worker.ended).toMatchObject({ code: "PRELOAD_FAILED" });
  });

  it("holds what it loaded, in a real runtime", async () => {
    await farm.startWorker({ settings: { VAPFARM_PRELOAD: "demo,demo-metrics/musiq_spaq" }, runtimeEntry: realRuntime });
    await until("it asks", () => farm.coordinator.nexts.length > 0);
    expect(farm.coordinator.nexts[0]?.worker?.residentEngineDigests).toHaveLength(6);
  });

  it.each([
    [
      "an engine that fails",
      { VAPFARM_PRELOAD: "demo/denoise", FAKE_WARM: '{"failWith":"ENGINE_LOAD_FAILED"}' },
      /engine denoise of model demo .*ENGINE_LOAD_FAILED/,
    ],
    ["a runtime that dies of it", { VAPFARM_PRELOAD: "demo/denoise", FAKE_WARM: '{"die":true}' }, /denoise.*RUNTIME_DIED/],
    [
      "one that takes too long",
      { VAPFARM_PRELOAD: "demo", FAKE_WARM: '{"until":"/nowhere"}', VAPFARM_LOAD_LIMIT_MS: "50" },
      /text_encode.*within 50 ms/,
    ],
    ["engines that push each other out", { VAPFARM_PRELOAD: "demo", FAKE_ROOM: "2" }, /did not stay open/],
    ["a model that it does not hold", { VAPFARM_PRELOAD: "none-such" }, /names model none-such/],
  ])("does not start with %s", async (_what, settings, message) => {
    await expect(farm.startWorker({ settings })).rejects.toMatchObject({
      code: "PRELOAD_FAILED",
      message: expect.stringMatching(message) as string,
    });
    expect(farm.coordinator.nexts).toEqual([]);
  });

  it("stops in order while it loads", async () => {
    const FAKE_WARM = JSON.stringify({ until: farm.pathOf("never"), deaf: true });
    const worker = farm.createWorker({ settings: { VAPFARM_PRELOAD: "demo/denoise", FAKE_WARM } });
    const started = worker.start().catch((thrown: unknown) => thrown);
    await until("it loads", async () =>
      (await readiness(worker.httpAddress()).catch(() => ({ text: "" }))).text.includes("WORKER_STARTING"),
    );
    await worker.stop();
    expect(["PRELOAD_FAILED", "RUNTIME_START_FAILED"]).toContain(((await started) as { readonly code: string }).code);
    expect(farm.coordinator.nexts).toEqual([]);
  });
});

describe("a worker on a node's folder of models", () => {
  it("holds several versions of a model, learns of those that come and go, and runs a claim from the one that has its engines", async () => {
    const folder = farm.pathOf("models");
    const other = await demoWithReferences(2);
    await mkdir(folder);
    await cp(demoFolder, join(folder, "demo@000000000001"), { recursive: true });
    await mkdir(join(folder, ".partial", "demo@000000000002"), { recursive: true });
    await farm.startWorker({ settings: { VAPFARM_MODELS: folder, VAPFARM_MODELS_RESCAN_MS: "20" } });
    await until("it asks", () => heldNow().length === 1);
    await cp(other.folder, join(folder, ".partial", "demo@000000000002"), { recursive: true, dereference: true });
    expect(heldNow()).toHaveLength(1);
    await rename(join(folder, ".partial", "demo@000000000002"), join(folder, "demo@000000000002"));
    await until("it holds both", () => heldNow().length === 2);
    const [first, second] = heldNow();
    expect([first?.name, second?.name, first?.engineDigests["denoise"] === second?.engineDigests["denoise"]]).toEqual([
      "demo",
      "demo",
      false,
    ]);
    const prompt = JSON.stringify({ steps: 1 });
    const attemptId = farm.coordinator.addTask({
      engineDigests: { denoise: second?.engineDigests["denoise"] ?? "" },
      parameters: { kind: { $case: "textEncode", value: { prompt } } },
    });
    const done = () => farm.coordinator.committed.find((report) => report.attemptId === attemptId);
    await farm.coordinator.until(() => done() !== undefined);
    expect(done()?.outcome?.$case).toBe("success");
    await rename(join(folder, "demo@000000000001"), join(folder, ".gone"));
    await until("it forgets the one that went", () => heldNow().length === 1);
    await rm(other.folder, { recursive: true });
  });
});
