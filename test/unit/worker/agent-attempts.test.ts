import { describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { ProgressMessage } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { lastRunOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import type { FakeAgent, FakeRun } from "../../support/fake-agent.ts";

let fake: FakeAgent;

useFakeAgent((fresh) => (fake = fresh));

const started = (): Promise<void> => startAgent(fake);
const lastRun = (): FakeRun => lastRunOf(fake);
const lastCommitted = () => fake.coordinator.committed.at(-1);

describe("outages", () => {
  it("kill no run: it goes on past its lease and is reported when NATS is back", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    fake.setConnected(false);
    await fake.clock.advance(60_000);
    expect(() => fake.agent.checkReady()).toThrow(FarmError);
    lastRun().succeed();
    await fake.clock.advance(60_000);
    expect(fake.coordinator.committed).toEqual([]);
    fake.setConnected(true);
    await fake.clock.advance(6_000);
    expect(lastCommitted()).toMatchObject({ attemptId, outcome: { $case: "success" } });
    expect(() => fake.agent.checkReady()).not.toThrow();
  });

  it("longer than the limit end the run, as an infrastructure failure", async () => {
    fake.coordinator.addTask({});
    await started();
    fake.setConnected(false);
    lastRun().progress({ counter: 1n, step: 1, steps: 10, stepMs: 500_000 });
    await fake.clock.advance(599_000);
    expect(lastRun().isCancelled()).toBe(false);
    await fake.clock.advance(4_000);
    expect(lastRun().isCancelled()).toBe(true);
    fake.setConnected(true);
    await fake.clock.advance(3_000);
    expect(lastCommitted()?.outcome).toMatchObject({ $case: "failure", value: { code: "OUTAGE_LIMIT_REACHED", abandoned: false } });
  });
});

describe("progress", () => {
  it("that stands still gets the runtime killed and the attempt reported as hung", async () => {
    fake.coordinator.addTask({});
    await started();
    lastRun().progress({ counter: 1n, step: 1, steps: 10, stepMs: 100 });
    await fake.clock.advance(29_000);
    lastRun().progress({ counter: 2n, step: 2, steps: 10, stepMs: 100 });
    lastRun().progress({ counter: 2n, step: 2, steps: 10, stepMs: 100 });
    await fake.clock.advance(29_000);
    expect(fake.runtime.kills).toEqual([]);
    await fake.clock.advance(1_000);
    expect(fake.runtime.kills).toHaveLength(1);
    expect(lastCommitted()?.outcome).toMatchObject({ $case: "failure", value: { code: "STAGE_HUNG", abandoned: false } });
  });

  it("that stands still in a runtime that cannot be killed is not renewed any more", async () => {
    const attemptId = fake.coordinator.addTask({});
    fake.runtime.kill = () => undefined;
    await started();
    lastRun().progress({ counter: 1n, step: 1, steps: 10, stepMs: 100 });
    await fake.clock.advance(29_000);
    expect(fake.coordinator.beats.at(-1)?.attempts).toMatchObject([{ attemptId }]);
    await fake.clock.advance(4_000);
    expect(fake.coordinator.beats.at(-1)?.attempts).toEqual([]);
  });

  it("is given five steps where a step is long, and ten minutes to load", async () => {
    fake.coordinator.addTask({ expectedMs: 0 });
    await started();
    await fake.clock.advance(599_000);
    expect(fake.runtime.kills).toEqual([]);
    lastRun().progress({ counter: 1n, step: 1, steps: 50, stepMs: 20_000 });
    await fake.clock.advance(99_000);
    expect(fake.runtime.kills).toEqual([]);
    await fake.clock.advance(1_000);
    expect(fake.runtime.kills).toHaveLength(1);
  });

  it("is told live to each job, at most four times a second", async () => {
    fake.coordinator.addTask({ jobIds: ["job-a", "job-b"], stage: "denoise" });
    await started();
    const before = fake.published.length;
    for (let step = 1; step <= 20; step += 1) {
      lastRun().progress({ counter: BigInt(step), step, steps: 50, stepMs: 100 });
      await fake.clock.advance(100);
    }
    const told = fake.published.slice(before).filter(({ subject }) => subject === "vf.test.progress.job-a");
    expect(told.length).toBeGreaterThan(4);
    expect(told.length).toBeLessThan(9);
    const [first] = told;
    if (first === undefined) expect.fail("nothing was told");
    expect(ProgressMessage.decode(first.payload)).toMatchObject({
      jobId: "job-a",
      stage: "denoise",
      phase: "compute",
      steps: 50,
      workerName: "worker",
    });
  });
});

describe("failures", () => {
  it("are reported with the runtime's code, and the worker goes on", async () => {
    fake.coordinator.addTask({});
    fake.coordinator.addTask({});
    await started();
    lastRun().fail(new FarmError("STAGE_NOT_FINITE"));
    await fake.clock.settle();
    expect(lastCommitted()?.outcome).toMatchObject({ $case: "failure", value: { code: "STAGE_NOT_FINITE", abandoned: false } });
    expect(fake.runtime.runs).toHaveLength(2);
  });

  it("of inputs name the artifacts to blame", async () => {
    const badInputs = ["cd".repeat(32)];
    fake.transfer.fetchFailure = new FarmError("ARTIFACT_MISSING", { details: { badInputs } });
    fake.coordinator.addTask({});
    await started();
    expect(lastCommitted()?.outcome).toMatchObject({ value: { code: "ARTIFACT_MISSING", badInputSha256: badInputs } });
    expect(fake.runtime.runs).toHaveLength(0);
  });

  it("of the runtime's process are charged with the time that the run took", async () => {
    fake.coordinator.addTask({});
    await started();
    await fake.clock.advance(2_000);
    lastRun().fail(new FarmError("RUNTIME_DIED"));
    await fake.clock.settle();
    expect(lastCommitted()).toMatchObject({ deviceMs: 2_000, outcome: { value: { code: "RUNTIME_DIED" } } });
  });
});

describe("stopping", () => {
  it("lets what runs end, reports it, and leaves with a last word", async () => {
    fake.coordinator.addTask({});
    await started();
    const stopped = fake.agent.stop();
    await fake.clock.advance(10_000);
    fake.coordinator.addTask({});
    lastRun().succeed();
    await fake.clock.settle();
    await stopped;
    expect(lastCommitted()?.outcome?.$case).toBe("success");
    expect(fake.coordinator.nexts.at(-1)).toMatchObject({ freeSlots: 0, heldAttemptIds: [], leaving: true });
    expect(fake.runtime.runs).toHaveLength(1);
  });

  it("gives back what does not end within the drain time", async () => {
    fake.coordinator.addTask({});
    await started();
    const stopped = fake.agent.stop();
    await fake.clock.advance(29_999);
    expect(lastRun().isCancelled()).toBe(false);
    await fake.clock.advance(1);
    await stopped;
    expect(lastCommitted()?.outcome).toMatchObject({ $case: "failure", value: { abandoned: true } });
    expect(fake.coordinator.nexts.filter(({ leaving }) => leaving)).toHaveLength(1);
  });

  it("says its last word with what is still held when that cannot be ended", async () => {
    const attemptId = fake.coordinator.addTask({});
    fake.transfer.open = () => new Promise(() => undefined);
    await started();
    const stopped = fake.agent.stop();
    await fake.clock.advance(60_000);
    await stopped;
    expect(fake.coordinator.nexts.at(-1)).toMatchObject({ leaving: true, heldAttemptIds: [attemptId] });
  });

  it("gives back a claim that was on its way when it began, and then says its last word", async () => {
    const attemptId = fake.coordinator.addTask({});
    fake.coordinator.fateOf = ({ times, header }) => (times === 1 && header.sequence === 1n ? "lose" : "deliver");
    await started();
    const stopped = fake.agent.stop();
    await fake.clock.advance(6_000);
    await stopped;
    expect(lastCommitted()).toMatchObject({ attemptId, outcome: { value: { abandoned: true } } });
    expect(fake.coordinator.nexts.at(-1)).toMatchObject({ freeSlots: 0, heldAttemptIds: [] });
  });

  it("ends although nobody answers", async () => {
    await started();
    fake.setConnected(false);
    const stopped = fake.agent.stop();
    await fake.clock.advance(60_000);
    await stopped;
  });

  it("is safe before the start and when called twice", async () => {
    await fake.agent.stop();
    await fake.agent.stop();
    expect(fake.coordinator.nexts).toEqual([]);
  });
});
