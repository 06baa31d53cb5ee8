import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { AttemptPhase, Level, ProgressMessage } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { openFolderStore } from "../../../services/platform/artifacts/folder-store.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { projectRoot, testFfmpegPath } from "../../support/ffmpeg.ts";
import { scrape, valueIn } from "../../support/exposition.ts";
import { startWorkerFarm, type WorkerFarm } from "../../support/worker-farm.ts";
import { until } from "../../support/until.ts";

let farm: WorkerFarm;

beforeEach(async () => {
  farm = await startWorkerFarm();
});

afterEach(async () => {
  await farm.stop();
  expect(farm.coordinator.violations).toEqual([]);
});

async function committed(attemptId: string) {
  await farm.coordinator.until(() => farm.coordinator.committed.some((report) => report.attemptId === attemptId));
  return farm.coordinator.committed.find((report) => report.attemptId === attemptId);
}

describe("a worker", () => {
  it("takes work of the models that it is for only, and does not start for one that is not there", async () => {
    await farm.startWorker({ settings: { VAPFARM_WORKER_MODELS: "demo-wan" } });
    await until("it asked", () => Promise.resolve(farm.coordinator.nexts.length > 0));
    expect(farm.coordinator.nexts[0]?.worker?.models.map(({ name }) => name)).toEqual(["demo-wan"]);
    await farm.startWorker({ settings: { VAPFARM_WORKER_EXCEPT_MODELS: "demo-wan", VAPFARM_WORKER_FOLDER: join(farm.folder, "other") } });
    await until("the other asked", () => Promise.resolve(farm.coordinator.nexts.some(({ worker }) => worker?.models[0]?.name === "demo")));
    const missing = farm.startWorker({ settings: { VAPFARM_WORKER_MODELS: "demo,none" } });
    await expect(missing).rejects.toMatchObject({ code: "MODEL_INVALID", message: expect.stringContaining("none") as string });
  });

  it("describes itself, runs what it claims, and stores the outputs under their hash", async () => {
    const attemptId = farm.addScript({ steps: 3 });
    const worker = await farm.startWorker();
    const report = await committed(attemptId);
    const { outcome } = report ?? {};
    if (outcome?.$case !== "success") expect.fail("the attempt failed");
    const [output] = outcome.value.outputs;
    const bytes = await readFile(join(farm.folder, "store", output?.sha256.slice(0, 2) ?? "", output?.sha256 ?? ""));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(output?.sha256);
    expect(outcome.value).toMatchObject({ provider: "cpu", profile: "fake" });
    expect(report).toMatchObject({ computeMs: 2, loadMs: 1, deviceMs: 3 });
    const { worker: described } = farm.coordinator.nexts[0] ?? {};
    expect(described).toMatchObject({
      name: "tested",
      pool: "p",
      profile: "fake",
      models: [{ name: "demo" }, { name: "demo-wan" }, { name: "demo-metrics" }],
    });
    expect(described?.stagesWithoutEngine).toEqual(["prepare", "panels", "score/temporal_flickering"]);
    // The answer to the report reaches the agent after the coordinator knows.
    await until("its scratch is gone", async () => (await readdir(join(farm.folder, "worker/scratch"))).length === 0);
    const counted = async (outcome: string) =>
      valueIn(await scrape(worker.httpAddress()), "vapfarm_worker_attempts_total", { stage: "text_encode", outcome, pool: "p" });
    await until("it counted the attempt", async () => (await counted("succeeded")) === 1);
    expect(await counted("failed")).toBe(0);
    expect((await fetch(`http://${worker.httpAddress()}/readyz`)).status).toBe(200);
  });

  it("keeps its id over restarts but not its session", async () => {
    await (await farm.startWorker()).stop();
    await (await farm.startWorker()).stop();
    const { nexts } = farm.coordinator;
    expect(new Set(nexts.map(({ worker }) => worker?.workerId)).size).toBe(1);
    expect(new Set(nexts.map(({ header }) => header?.sessionId)).size).toBe(2);
  });

  it("is woken by a signal long before its poll", async () => {
    await farm.startWorker({ timings: { pollMs: 3_600_000 } });
    await farm.coordinator.until(() => farm.coordinator.nexts.length > 0);
    const attemptId = farm.addScript({});
    farm.push({ $case: "wake", value: {} });
    expect((await committed(attemptId))?.outcome?.$case).toBe("success");
  });

  it("publishes live progress for each job it serves", async () => {
    const told = Promise.withResolvers<Uint8Array>();
    farm.broker.subscribe("vf.test.progress.job-1", (payload) => {
      if (ProgressMessage.decode(payload).phase === "compute") told.resolve(payload);
    });
    await farm.broker.flush(1_000);
    const prompt = JSON.stringify({ steps: 5 });
    farm.coordinator.addTask({ jobIds: ["job-1"], parameters: { kind: { $case: "textEncode", value: { prompt } } } });
    await farm.startWorker();
    expect(ProgressMessage.decode(await told.promise)).toMatchObject({ jobId: "job-1", stage: "text_encode", workerName: "tested" });
  });

  it("reports an input that is missing by its hash, and goes on", async () => {
    const sha256 = "0".repeat(64);
    const bad = farm.coordinator.addTask({ inputs: [{ name: "pixels", sha256, sizeBytes: 1n }] });
    const good = farm.addScript({});
    await farm.startWorker();
    expect((await committed(bad))?.outcome).toMatchObject({ value: { code: "ARTIFACT_MISSING", badInputSha256: [sha256] } });
    expect((await committed(good))?.outcome?.$case).toBe("success");
  });

  it("hands inputs to the runtime, from the store or from what was made here", async () => {
    const path = farm.pathOf("input");
    await writeFile(path, "pixels");
    const sha256 = createHash("sha256").update("pixels").digest("hex");
    const store = await openFolderStore(join(farm.folder, "store"));
    await store.put(sha256, path);
    const inputs = [{ name: "pixels", sha256, sizeBytes: 6n }];
    const parameters = { kind: { $case: "textEncode" as const, value: { prompt: "{}" } } };
    await farm.startWorker();
    await committed(farm.coordinator.addTask({ inputs, parameters }));
    await store.delete(sha256);
    const again = await committed(farm.coordinator.addTask({ inputs, parameters }));
    expect(again?.outcome?.$case).toBe("success");
  });

  it("stops a run that nobody wants at its next step, and gives it back", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5 });
    await farm.startWorker();
    const { ATTEMPT_PHASE_COMPUTE: computing } = AttemptPhase;
    await farm.coordinator.until(() => farm.coordinator.beats.some(({ attempts }) => attempts[0]?.phase === computing));
    farm.push({ $case: "level", value: { attemptId, level: Level.LEVEL_UNWANTED } });
    expect((await committed(attemptId))?.outcome).toMatchObject({ value: { code: "STAGE_CANCELLED", abandoned: true } });
    const next = await committed(farm.addScript({}));
    expect(next?.outcome?.$case).toBe("success");
  });

  it("reserves a task while one computes, and begins it as soon as that is done", async () => {
    const prompt = JSON.stringify({ until: farm.pathOf("go"), stepMs: 5 });
    const first = farm.coordinator.addTask({ expectedMs: 1, parameters: { kind: { $case: "textEncode", value: { prompt } } } });
    const second = farm.addScript({});
    const worker = await farm.startWorker();
    const phasesOf = (attemptId: string) =>
      farm.coordinator.beats.flatMap(({ attempts }) => attempts.filter((beat) => beat.attemptId === attemptId)).map(({ phase }) => phase);
    await farm.coordinator.until(() => phasesOf(second).length > 1);
    expect(new Set(phasesOf(second))).toEqual(new Set([AttemptPhase.ATTEMPT_PHASE_FETCH]));
    await farm.release("go");
    expect((await committed(second))?.outcome?.$case).toBe("success");
    expect((await committed(first))?.outcome?.$case).toBe("success");
    expect(valueIn(await scrape(worker.httpAddress()), "vapfarm_reservations_total", { outcome: "begun" })).toBe(1);
  });

  it("runs real stages in the real runtime, one of them reserved while the other loads its engine", async () => {
    const { engines } = await openModel(join(projectRoot, "models/demo"));
    const engineDigests = Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
    const parameters = { kind: { $case: "textEncode" as const, value: { prompt: "a cat" } } };
    const attemptId = farm.coordinator.addTask({ engineDigests, parameters, expectedMs: 1 });
    const reserved = farm.coordinator.addTask({ engineDigests, parameters });
    const settings = { VAPFARM_FFMPEG: await testFfmpegPath() };
    await farm.startWorker({ settings, runtimeEntry: join(projectRoot, "services/worker/runtime/main.ts") });
    expect((await committed(reserved))?.outcome?.$case).toBe("success");
    expect(farm.coordinator.nexts.filter(({ aheadSlots }) => aheadSlots > 0).length).toBeGreaterThan(0);
    const outcome = (await committed(attemptId))?.outcome;
    if (outcome?.$case !== "success") expect.fail(`failed: ${outcome?.value.message ?? ""}`);
    const sha256 = outcome.value.outputs[0]?.sha256 ?? "";
    const { tensors } = decodeSafetensors(await readFile(join(farm.folder, "store", sha256.slice(0, 2), sha256)));
    expect(tensors.get("prompt_embeds")?.shape).toEqual([1, 226, 32]);
    expect(outcome.value.profile).toContain("cpu;ort-");
  });
});

describe("a worker that cannot start", () => {
  it("says which execution provider is missing", async () => {
    const settings = { VAPFARM_PROVIDERS: "cuda", VAPFARM_RUNTIME_ARCHITECTURE: "sm_90" };
    const starting = farm.startWorker({ settings, runtimeEntry: join(projectRoot, "services/worker/runtime/main.ts") });
    await expect(starting).rejects.toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
  });

  it("says that its model repository is none", async () => {
    const starting = farm.startWorker({ settings: { VAPFARM_MODELS: "/nonexistent" } });
    await expect(starting).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });
});
