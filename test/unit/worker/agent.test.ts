import { describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { AttemptPhase, Level } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { lastRunOf, metricOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import type { FakeAgent, FakeRun } from "../../support/fake-agent.ts";

let fake: FakeAgent;

useFakeAgent((fresh) => (fake = fresh));

const started = (): Promise<void> => startAgent(fake);
const lastRun = (): FakeRun => lastRunOf(fake);
const lastCommitted = () => fake.coordinator.committed.at(-1);
const metric = (name: string): Promise<string | undefined> => metricOf(fake, name);

describe("claiming", () => {
  it("opens with a next that asks for the epoch and says what the worker is", async () => {
    await started();
    const [first] = fake.coordinator.nexts;
    expect(first).toMatchObject({ freeSlots: 1, heldAttemptIds: [], reports: [], worker: { workerId: "w" } });
    expect(first?.header).toMatchObject({ protocolVersion: 1, sequence: 1n, farmEpoch: 0n });
    expect(first?.header?.sessionId).toMatch(/^[0-9a-f]{32}$/);
  });

  it("asks again when woken, and after the slow poll when nobody wakes it", async () => {
    await started();
    fake.push({ $case: "wake", value: {} });
    await fake.clock.settle();
    expect(fake.coordinator.nexts).toHaveLength(2);
    await fake.clock.advance(9_999);
    expect(fake.coordinator.nexts).toHaveLength(2);
    await fake.clock.advance(1);
    expect(fake.coordinator.nexts).toHaveLength(3);
  });

  it("asks for the next task as soon as a compute ends, while the previous one is still being stored", async () => {
    const gate = Promise.withResolvers<undefined>();
    fake.transfer.putGate = gate.promise;
    const first = fake.coordinator.addTask({});
    fake.coordinator.addTask({});
    await started();
    lastRun().succeed();
    await fake.clock.settle();
    expect(fake.runtime.runs).toHaveLength(2);
    expect(fake.coordinator.nexts.at(-1)?.heldAttemptIds).toEqual([first]);
    expect(fake.coordinator.committed).toEqual([]);
    gate.resolve(undefined);
    await fake.clock.settle();
    expect(lastCommitted()?.attemptId).toBe(first);
  });

  it("does not compute a third task while two finish", async () => {
    const gate = Promise.withResolvers<undefined>();
    fake.transfer.putGate = gate.promise;
    for (let task = 0; task < 3; task += 1) fake.coordinator.addTask({});
    await started();
    lastRun().succeed();
    await fake.clock.settle();
    lastRun().succeed();
    await fake.clock.advance(20_000);
    expect(fake.runtime.runs).toHaveLength(2);
    gate.resolve(undefined);
    await fake.clock.settle();
    expect(fake.runtime.runs).toHaveLength(3);
  });

  it("asks for nothing while no runtime is up", async () => {
    fake.runtime.setReady(false);
    fake.coordinator.addTask({});
    await started();
    expect(fake.coordinator.nexts.map(({ freeSlots }) => freeSlots)).toEqual([0]);
    fake.runtime.setReady(true);
    await fake.clock.settle();
    expect(fake.runtime.runs).toHaveLength(1);
  });
});

describe("requests whose answers are lost", () => {
  it("sends a next again, byte for byte, until it is answered, and runs its claim once", async () => {
    fake.coordinator.addTask({});
    fake.coordinator.fateOf = ({ kind, times }) => (kind === "next" && times < 3 ? "lose" : "deliver");
    await started();
    expect(fake.runtime.runs).toHaveLength(0);
    await fake.clock.advance(11_000);
    expect(fake.runtime.runs).toHaveLength(1);
    expect(fake.coordinator.nexts).toHaveLength(1);
    expect(Math.max(...fake.coordinator.arrivals.values())).toBe(3);
  });

  it("commits a report once although its answer was lost", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    fake.coordinator.fateOf = ({ kind, times }) => (kind !== "beat" && times === 1 ? "lose" : "deliver");
    lastRun().succeed();
    await fake.clock.advance(15_000);
    expect(fake.coordinator.committed.map((report) => report.attemptId)).toEqual([attemptId]);
    expect(fake.coordinator.dropped).toEqual([]);
  });

  it("opens a new session, with what was done still to be told, when its session was ended", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    const [first] = fake.coordinator.nexts;
    fake.coordinator.endSessions();
    await fake.clock.advance(3_000);
    expect(lastRun().isCancelled()).toBe(true);
    const last = fake.coordinator.nexts.at(-1);
    expect(last?.header?.sessionId).not.toBe(first?.header?.sessionId);
    expect(last?.heldAttemptIds).toEqual([]);
    expect([first?.worker?.life, last?.worker?.life]).toEqual([5n, 6n]);
    await fake.clock.advance(1_000);
    expect(fake.coordinator.dropped.map((report) => report.attemptId)).toEqual([attemptId]);
    expect(await metric("vapfarm_worker_lease_losses_total")).toMatch(/ 1$/);
  });

  it("asks for the epoch anew and tells nothing of before after the farm was restored", async () => {
    fake.coordinator.addTask({});
    await started();
    fake.coordinator.farmEpoch = 8n;
    await fake.clock.advance(5_000);
    expect(lastRun().isCancelled()).toBe(true);
    const [session] = [...fake.coordinator.sessions.keys()].slice(-1);
    expect(fake.coordinator.nexts.find(({ header }) => header?.sessionId === session)?.header?.farmEpoch).toBe(0n);
    expect([...fake.coordinator.dropped, ...fake.coordinator.committed]).toEqual([]);
  });

  it.each(["SESSION_SUPERSEDED", "POOL_PROFILE_MISMATCH", "PROTOCOL_UNSUPPORTED"])("ends the worker when refused with %s", async (code) => {
    fake.coordinator.addTask({});
    await started();
    fake.coordinator.refuseWith = code;
    await fake.clock.advance(3_000);
    await expect(fake.agent.ended).resolves.toMatchObject({ code });
    expect(lastRun().isCancelled()).toBe(true);
    expect(() => fake.agent.checkReady()).toThrow(FarmError);
  });

  it("does not flood a coordinator that refuses every session", async () => {
    fake.coordinator.refuseWith = "SESSION_ENDED";
    await started();
    await fake.clock.advance(10_000);
    expect(fake.coordinator.arrivals.size).toBeLessThan(40);
  });
});

describe("beats", () => {
  it("come every three seconds and name each attempt with phase and step", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    lastRun().progress({ counter: 1n, step: 2, steps: 10, stepMs: 100 });
    await fake.clock.advance(9_000);
    expect(fake.coordinator.beats).toHaveLength(3);
    const { ATTEMPT_PHASE_COMPUTE: phase } = AttemptPhase;
    expect(fake.coordinator.beats.at(-1)?.attempts).toMatchObject([{ attemptId, phase, step: 2, steps: 10, deviceMs: 9_000 }]);
    expect(fake.coordinator.beats.map(({ header }) => header?.sequence)).toEqual([1n, 2n, 3n]);
    expect(fake.coordinator.beats.at(-1)?.counters).toMatchObject({ runsStarted: 1n });
  });

  it("announce what is about to be stored, and the bytes wait for the answer", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    fake.coordinator.fateOf = ({ kind }) => (kind === "beat" ? "lose" : "deliver");
    lastRun().succeed();
    await fake.clock.advance(8_000);
    expect(fake.transfer.puts).toEqual([]);
    fake.coordinator.fateOf = () => "deliver";
    await fake.clock.advance(4_000);
    expect(fake.transfer.puts).toHaveLength(1);
    const announced = fake.coordinator.beats.flatMap(({ attempts }) => attempts).find((beat) => beat.announcedArtifacts.length > 0);
    expect(announced?.attemptId).toBe(attemptId);
    expect(lastCommitted()?.outcome?.$case).toBe("success");
  });
});

describe("levels", () => {
  it.each([Level.LEVEL_UNWANTED, Level.LEVEL_PREEMPT, Level.LEVEL_DRAIN, Level.LEVEL_REVOKED])(
    "pushed as %i cancel the run and give it back",
    async (level) => {
      const attemptId = fake.coordinator.addTask({});
      await started();
      fake.push({ $case: "level", value: { attemptId, level } });
      await fake.clock.settle();
      expect(lastRun().isCancelled()).toBe(true);
      expect(lastCommitted()?.outcome).toMatchObject({ $case: "failure", value: { code: "STAGE_CANCELLED", abandoned: true } });
    },
  );

  it("in a beat's answer do the same, without a push", async () => {
    const attemptId = fake.coordinator.addTask({});
    await started();
    fake.coordinator.revoke(attemptId);
    await fake.clock.advance(3_000);
    expect(lastRun().isCancelled()).toBe(true);
    expect(fake.coordinator.dropped.map((report) => report.attemptId)).toEqual([attemptId]);
  });

  it.each([
    ["nobody wants it now", Level.LEVEL_UNWANTED],
    ["the worker is drained", Level.LEVEL_DRAIN],
  ])("let a result that is already computed be stored although %s", async (_why, level) => {
    const gate = Promise.withResolvers<undefined>();
    fake.transfer.putGate = gate.promise;
    const attemptId = fake.coordinator.addTask({});
    await started();
    lastRun().succeed();
    await fake.clock.settle();
    fake.push({ $case: "level", value: { attemptId, level } });
    gate.resolve(undefined);
    await fake.clock.settle();
    expect(lastCommitted()?.outcome?.$case).toBe("success");
  });

  it("stop the storing of a result that is not current any more", async () => {
    fake.transfer.putGate = new Promise(() => undefined);
    const attemptId = fake.coordinator.addTask({});
    await started();
    lastRun().succeed();
    await fake.clock.settle();
    fake.coordinator.revoke(attemptId);
    await fake.clock.advance(3_000);
    expect(fake.coordinator.dropped[0]?.outcome).toMatchObject({ $case: "failure", value: { abandoned: true } });
  });

  it("of an attempt that is not held change nothing", async () => {
    fake.coordinator.addTask({});
    await started();
    fake.push({ $case: "level", value: { attemptId: "f".repeat(32), level: Level.LEVEL_REVOKED } });
    await fake.clock.settle();
    expect(lastRun().isCancelled()).toBe(false);
  });
});
