import { expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { lastRunOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import { type Labels, parseExposition, seriesCount, valueIn } from "../../support/exposition.ts";
import type { FakeAgent, FakeRun } from "../../support/fake-agent.ts";

let fake: FakeAgent;

useFakeAgent((fresh) => (fake = fresh));

const started = (): Promise<void> => startAgent(fake);
const lastRun = (): FakeRun => lastRunOf(fake);
const shown = async () => parseExposition(await fake.metrics.registry.metrics());
const value = async (name: string, labels: Labels = {}): Promise<number | undefined> => valueIn(await shown(), name, labels);
const deviceSeconds = (stage: string): Promise<number | undefined> => value("vapfarm_worker_device_seconds_total", { stage });
const steps = (model: string): Promise<number | undefined> => value("vapfarm_worker_steps_total", { model });

it("counts the device's time while a run goes on, and stops when it lets go", async () => {
  fake.coordinator.addTask({ stage: "denoise" });
  await started();
  await fake.clock.advance(10_000);
  expect(await deviceSeconds("denoise")).toBe(10);
  expect(await deviceSeconds("denoise")).toBe(10);
  lastRun().progress({ counter: 1n, step: 1, steps: 9 });
  await fake.clock.advance(5_000);
  lastRun().succeed();
  await fake.clock.advance(60_000);
  expect(await deviceSeconds("denoise")).toBe(15);
  expect(await deviceSeconds("vae_decode")).toBe(0);
});

it("counts the device's time of a run that fails, too", async () => {
  fake.coordinator.addTask({ stage: "denoise" });
  await started();
  await fake.clock.advance(2_000);
  lastRun().fail(new FarmError("STAGE_FAILED"));
  await fake.clock.advance(60_000);
  expect(await deviceSeconds("denoise")).toBe(2);
});

it("counts the steps that this run took, not those of the checkpoint at which it goes on, nor those of other phases", async () => {
  fake.coordinator.addTask({ stage: "denoise" });
  await started();
  expect(await steps("demo")).toBe(0);
  lastRun().progress({ phase: "decode", step: 400 });
  for (const step of [30, 31, 32, 32, 34]) lastRun().progress({ step, steps: 50 });
  expect(await steps("demo")).toBe(4);
  lastRun().succeed();
});

it("counts a run that opens engines once, and its seconds only when it succeeds", async () => {
  const loads = async () => [
    await value("vapfarm_worker_engine_loads_total", { model: "demo", stage: "denoise" }),
    await value("vapfarm_worker_engine_load_seconds_count", { model: "demo", stage: "denoise" }),
  ];
  expect(await loads()).toEqual([0, 0]);
  for (const outcome of ["resident", "fails", "loads"]) {
    fake.coordinator.addTask({ stage: "denoise" });
    if (outcome === "resident") await started();
    else await fake.clock.advance(20_000);
    if (outcome !== "resident") for (let times = 0; times < 2; times += 1) lastRun().progress({ phase: "load" });
    if (outcome === "fails") lastRun().fail(new FarmError("ENGINE_LOAD_FAILED"));
    else lastRun().succeed();
    await fake.clock.advance(20_000);
  }
  expect(await loads()).toEqual([2, 1]);
});

it("makes no series of stages, models or codes that a coordinator makes up", async () => {
  await started();
  const counts: number[] = [];
  for (let number = 0; number < 20; number += 1) {
    fake.coordinator.addTask({ stage: `stage-${number}`, model: `${"m".repeat(10_000)}${number}` });
    await fake.clock.advance(20_000);
    lastRun().progress({ phase: "load" });
    for (const step of [0, 1]) lastRun().progress({ step });
    lastRun().succeed();
    await fake.clock.advance(20_000);
    counts.push(seriesCount(await shown()));
  }
  // `other` comes with the first of them, and nothing with the rest.
  expect(new Set(counts).size).toBe(1);
  expect(await value("vapfarm_worker_attempts_total", { stage: "other", outcome: "succeeded" })).toBe(20);
  expect(await steps("other")).toBe(20);
});
