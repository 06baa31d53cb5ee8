import { describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { type AttemptBeat, Level } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { lastRunOf, metricOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import { checkpointHash, type FakeAgent, type FakeRun } from "../../support/fake-agent.ts";

let fake: FakeAgent;

useFakeAgent((fresh) => (fake = fresh));

const started = (): Promise<void> => startAgent(fake);
const lastRun = (): FakeRun => lastRunOf(fake);

const beaten = (): readonly AttemptBeat[] => fake.coordinator.beats.flatMap(({ attempts }) => attempts);
const toldSteps = (): readonly number[] => beaten().flatMap(({ checkpoint }) => (checkpoint === undefined ? [] : [checkpoint.step]));
const announced = (): readonly string[] => beaten().flatMap(({ announcedArtifacts }) => announcedArtifacts.map(({ sha256 }) => sha256));
const pathOf = (step: number): string => `/nowhere/checkpoint-${step}`;
const lastCommitted = () => fake.coordinator.committed.at(-1);
const metric = (name: string): Promise<string | undefined> => metricOf(fake, name);

/** A store that answers when the test says so. */
function slowStore(): { readonly answer: () => void } {
  const gate = Promise.withResolvers<undefined>();
  fake.transfer.onPutOnce = () => gate.promise;
  return { answer: () => gate.resolve(undefined) };
}

describe("a checkpoint", () => {
  it("is announced, stored, and told with its hash and size, while the run goes on", async () => {
    fake.coordinator.addTask({ stage: "denoise" });
    await started();
    expect(lastRun().request.checkpoints).toEqual({ everySteps: 5, everyMs: 30_000n, mostShare: 0.01 });
    lastRun().checkpoint(5);
    await fake.clock.settle();
    expect(announced()).toEqual([checkpointHash(5)]);
    expect(fake.transfer.tries).toEqual([pathOf(5)]);
    expect(beaten().at(-1)?.checkpoint).toEqual({ step: 5, sha256: checkpointHash(5), sizeBytes: 3n });
    expect(fake.transfer.discarded).toEqual([pathOf(5)]);
    expect(lastRun().isCancelled()).toBe(false);
    expect(await metric('vapfarm_worker_checkpoints_total{outcome="kept"}')).toMatch(/ 1$/);
    expect(await metric("vapfarm_worker_checkpoint_seconds_total")).toMatch(/ 2$/);
  });

  it("is told again in each beat until one is answered, and in none after that", async () => {
    fake.coordinator.addTask({});
    await started();
    lastRun().checkpoint(5);
    const store = slowStore();
    await fake.clock.settle();
    let lost = 0;
    fake.coordinator.fateOf = ({ kind }) => (kind === "beat" && (lost += 1) <= 2 ? "lose" : "deliver");
    store.answer();
    await fake.clock.advance(20_000);
    expect(toldSteps()).toEqual([5, 5, 5]);
  });

  it("that is slow to be stored holds up neither run nor beats; of those behind it only the newest is taken", async () => {
    fake.coordinator.addTask({});
    await started();
    const store = slowStore();
    for (const step of [5, 10, 15]) {
      lastRun().checkpoint(step);
      await fake.clock.advance(3_000);
    }
    expect(fake.transfer.tries).toEqual([pathOf(5)]);
    expect(fake.transfer.discarded).toEqual([pathOf(10)]);
    expect(fake.coordinator.beats.length).toBeGreaterThan(2);
    store.answer();
    await fake.clock.settle();
    expect(fake.transfer.tries).toEqual([pathOf(5), pathOf(15)]);
    expect(toldSteps()).toEqual([5, 15]);
    expect(await metric('vapfarm_worker_checkpoints_total{outcome="superseded"}')).toMatch(/ 1$/);
  });

  it("that cannot be stored is counted and given up, the run goes on, and the next one is kept", async () => {
    fake.coordinator.addTask({});
    await started();
    fake.transfer.onPutOnce = () => Promise.reject(new FarmError("ARTIFACT_STORE_UNAVAILABLE"));
    lastRun().checkpoint(5);
    await fake.clock.settle();
    expect(lastRun().isCancelled()).toBe(false);
    expect(toldSteps()).toEqual([]);
    expect(fake.transfer.discarded).toEqual([pathOf(5)]);
    expect(await metric('vapfarm_worker_checkpoints_total{outcome="failed"}')).toMatch(/ 1$/);
    fake.transfer.onPutOnce = () => Promise.resolve();
    lastRun().checkpoint(10);
    await fake.clock.settle();
    expect(toldSteps()).toEqual([10]);
    lastRun().succeed();
    await fake.clock.settle();
    expect(lastCommitted()?.outcome?.$case).toBe("success");
  });

  it("that could not be written is counted and told to nobody, and the run goes on", async () => {
    fake.coordinator.addTask({});
    await started();
    lastRun().checkpoint(5, "no space left on device");
    await fake.clock.settle();
    expect(fake.transfer.tries).toEqual([]);
    expect(lastRun().isCancelled()).toBe(false);
    expect(await metric('vapfarm_worker_checkpoints_total{outcome="failed"}')).toMatch(/ 1$/);
    lastRun().checkpoint(10);
    await fake.clock.settle();
    expect(toldSteps()).toEqual([10]);
  });

  it("waits for an outage to end, and then the newest is told", async () => {
    fake.coordinator.addTask({});
    await started();
    fake.setConnected(false);
    for (const step of [5, 10, 15]) {
      lastRun().checkpoint(step);
      await fake.clock.advance(5_000);
    }
    expect(fake.transfer.tries).toEqual([]);
    fake.setConnected(true);
    await fake.clock.advance(6_000);
    expect(toldSteps().at(-1)).toBe(15);
  });

  it("that is on its way when the run ends is given up: the result is announced and stored at once", async () => {
    fake.coordinator.addTask({});
    await started();
    slowStore();
    lastRun().checkpoint(5);
    await fake.clock.settle();
    lastRun().succeed();
    await fake.clock.settle();
    expect(lastCommitted()?.outcome?.$case).toBe("success");
    expect(fake.transfer.puts).toEqual(["ab".repeat(32)]);
    expect(toldSteps()).toEqual([]);
  });

  it("whose beat is answered only after the run has ended does not stand for the announcement of the result", async () => {
    fake.coordinator.addTask({});
    await started();
    const told = fake.holdBeats();
    lastRun().checkpoint(5);
    await fake.clock.settle();
    lastRun().succeed();
    await fake.clock.settle();
    expect(fake.transfer.puts).toEqual([]);
    told.release();
    await fake.clock.settle();
    expect(announced()).toEqual([checkpointHash(5), "ab".repeat(32)]);
    expect(lastCommitted()?.outcome?.$case).toBe("success");
  });

  it("that the runtime refuses is named in the report", async () => {
    const inputs = [
      { name: "checkpoint", sha256: "cd".repeat(32), sizeBytes: 3n },
      { name: "image_moments", sha256: "ef".repeat(32), sizeBytes: 3n },
    ];
    fake.coordinator.addTask({ inputs });
    await started();
    lastRun().fail(new FarmError("ARTIFACT_CORRUPT", { details: { input: "checkpoint" } }));
    await fake.clock.settle();
    expect(lastCommitted()?.outcome).toMatchObject({ value: { code: "ARTIFACT_CORRUPT", badInputSha256: ["cd".repeat(32)] } });
  });
});

describe("a run that is stopped", () => {
  /** Ends like the real one: with a last checkpoint after the step of the moment. */
  const leaveNow = (run: FakeRun, step: number): void => {
    run.checkpoint(step);
    run.fail(new FarmError("STAGE_CANCELLED"));
  };
  const leavesWith = (run: FakeRun, step: number): void => {
    run.onLeave = () => leaveNow(run, step);
  };

  it("by a stop of its worker leaves a last checkpoint, which is told before it is given back", async () => {
    fake.coordinator.addTask({});
    await started();
    leavesWith(lastRun(), 17);
    const stopped = fake.agent.stop();
    await fake.clock.advance(30_000);
    await stopped;
    expect(toldSteps()).toEqual([17]);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true, code: "STAGE_CANCELLED" } });
    expect(fake.coordinator.nexts.at(-1)).toMatchObject({ leaving: true, heldAttemptIds: [] });
  });

  it("is asked to leave the earlier the longer its steps are, so that the stop takes no longer", async () => {
    fake.coordinator.addTask({});
    await started();
    for (let step = 0; step < 3; step += 1) {
      lastRun().progress({ counter: BigInt(step), step, steps: 50, stepMs: 8_000 });
      await fake.clock.advance(8_000);
    }
    const run = lastRun();
    run.onLeave = () => fake.clock.after(15_000, () => leaveNow(run, 4));
    const stopped = fake.agent.stop();
    run.progress({ counter: 3n, step: 3, steps: 50, stepMs: 8_000 });
    // A step of 8 s may take 16 s to end, its checkpoint 5 s to be told: 11 s more than there are to settle.
    await fake.clock.advance(18_999);
    expect(run.isCancelled()).toBe(false);
    await fake.clock.advance(1);
    expect(run.isCancelled()).toBe(true);
    await fake.clock.advance(15_000);
    await stopped;
    expect(toldSteps()).toEqual([4]);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
  });

  it.each([Level.LEVEL_DRAIN, Level.LEVEL_PREEMPT])("by level %i leaves a last checkpoint before it is given back", async (level) => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    leavesWith(lastRun(), 17);
    fake.push({ $case: "level", value: { attemptId, level } });
    await fake.clock.settle();
    expect(toldSteps()).toEqual([17]);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
  });

  it("because nobody wants it ends at once; what it had written is still told first", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    const store = slowStore();
    lastRun().checkpoint(5);
    await fake.clock.settle();
    lastRun().onLeave = () => expect.fail("it was asked for another step");
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_UNWANTED } });
    await fake.clock.settle();
    expect(lastRun().isCancelled()).toBe(true);
    expect(fake.coordinator.committed).toEqual([]);
    store.answer();
    await fake.clock.settle();
    expect(toldSteps()).toEqual([5]);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
  });

  it("but does not end is cancelled after its grace", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    lastRun().onLeave = () => undefined;
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_DRAIN } });
    await fake.clock.advance(4_999);
    expect(fake.coordinator.committed).toEqual([]);
    await fake.clock.advance(1);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
  });

  it("is given back without its checkpoint when the store does not take it in time", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    slowStore();
    leavesWith(lastRun(), 17);
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_DRAIN } });
    await fake.clock.advance(4_999);
    expect(fake.coordinator.committed).toEqual([]);
    await fake.clock.advance(1);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
    expect(toldSteps()).toEqual([]);
  });

  it("because its fence is lost keeps nothing, also when it was leaving already", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    slowStore();
    lastRun().checkpoint(5);
    lastRun().onLeave = () => undefined;
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_DRAIN } });
    await fake.clock.settle();
    fake.coordinator.revoke(attemptId);
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_REVOKED } });
    await fake.clock.settle();
    expect(fake.coordinator.dropped.map((report) => report.attemptId)).toEqual([attemptId]);
    expect(toldSteps()).toEqual([]);
  });

  it("ends with its result when that was the next step", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    const run = lastRun();
    run.onLeave = () => run.succeed();
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_DRAIN } });
    await fake.clock.settle();
    expect(lastCommitted()?.outcome?.$case).toBe("success");
  });

  it("and ended with its result is given back all the same when the store does not take that before its worker ends", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    const run = lastRun();
    run.onLeave = () => run.succeed();
    fake.transfer.putGate = new Promise(() => undefined);
    fake.push({ $case: "level", value: { attemptId, level: Level.LEVEL_DRAIN } });
    await fake.clock.settle();
    const stopped = fake.agent.stop();
    await fake.clock.advance(60_000);
    await stopped;
    expect(lastCommitted()?.outcome).toMatchObject({ value: { abandoned: true } });
  });
});

describe("a runtime that dies", () => {
  it("loses none of the checkpoints that it had written", async () => {
    fake.coordinator.addTask({});
    await started();
    const store = slowStore();
    lastRun().checkpoint(5);
    lastRun().checkpoint(10);
    lastRun().fail(new FarmError("RUNTIME_DIED"));
    await fake.clock.advance(1_000);
    expect(fake.coordinator.committed).toEqual([]);
    store.answer();
    await fake.clock.settle();
    expect(toldSteps()).toEqual([5, 10]);
    expect(lastCommitted()?.outcome).toMatchObject({ value: { code: "RUNTIME_DIED", abandoned: false } });
  });

  it("is the cause that is told, also when its worker has to stop while the last checkpoint is on its way", async () => {
    fake.coordinator.addTask({});
    await started();
    slowStore();
    lastRun().checkpoint(5);
    const stopped = fake.agent.stop();
    await fake.clock.advance(29_000);
    lastRun().fail(new FarmError("RUNTIME_DIED"));
    await fake.clock.advance(10_000);
    await stopped;
    expect(lastCommitted()?.outcome).toMatchObject({ value: { code: "RUNTIME_DIED", abandoned: false } });
  });
});
