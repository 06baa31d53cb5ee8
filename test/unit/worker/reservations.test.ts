import { describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { AttemptPhase, Level, ProgressMessage, type TaskClaim } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { lastRunOf, metricOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import type { FakeAgent, FakeRun } from "../../support/fake-agent.ts";

let fake: FakeAgent;

useFakeAgent((fresh) => (fake = fresh));

const firstRun = (): FakeRun => fake.runtime.runs[0] ?? expect.fail("nothing runs");
const lastRun = (): FakeRun => lastRunOf(fake);
const asksAhead = () => fake.coordinator.nexts.filter(({ aheadSlots }) => aheadSlots > 0);
const outcomeOf = (attemptId: string) => fake.coordinator.committed.find((report) => report.attemptId === attemptId)?.outcome;
const beatsOf = (attemptId: string) =>
  fake.coordinator.beats.flatMap(({ attempts }) => attempts.filter((beat) => beat.attemptId === attemptId)).map(({ phase }) => phase);
const reservations = (outcome: string): Promise<string | undefined> => metricOf(fake, `vapfarm_reservations_total{outcome="${outcome}"}`);
const { ATTEMPT_PHASE_FETCH: fetching, ATTEMPT_PHASE_COMPUTE: computing } = AttemptPhase;

/** Two tasks of 10 s by the books: one computes, the other is reserved when the first is nearly done. */
async function reserved(second: Partial<TaskClaim> = {}): Promise<{ readonly first: string; readonly second: string }> {
  const ids = {
    first: fake.coordinator.addTask({ expectedMs: 10_000 }),
    second: fake.coordinator.addTask({ expectedMs: 10_000, ...second }),
  };
  await startAgent(fake);
  await fake.clock.advance(9_900);
  expect(asksAhead()).toHaveLength(1);
  return ids;
}

describe("asking ahead", () => {
  it("happens when what is left of the run is what asking and fetching take, and names what is held", async () => {
    const first = fake.coordinator.addTask({ expectedMs: 10_000 });
    await startAgent(fake);
    await fake.clock.advance(9_000);
    expect(asksAhead()).toEqual([]);
    await fake.clock.advance(1_000);
    expect(asksAhead()).toMatchObject([{ freeSlots: 0, aheadSlots: 1, heldAttemptIds: [first] }]);
  });

  it("goes by the run's own steps rather than by the books", async () => {
    fake.coordinator.addTask({ expectedMs: 1_000 });
    await startAgent(fake);
    lastRun().progress({ step: 1, steps: 10, counter: 1n, stepMs: 2_000 });
    await fake.clock.advance(15_000);
    expect(asksAhead()).toEqual([]);
    lastRun().progress({ step: 9, steps: 10, counter: 2n, stepMs: 2_000 });
    await fake.clock.advance(2_000);
    expect(asksAhead()).toHaveLength(1);
  });

  it("waits while nobody knows how long the run takes", async () => {
    fake.coordinator.addTask({});
    await startAgent(fake);
    await fake.clock.advance(100_000);
    expect(asksAhead()).toEqual([]);
  });

  it("happens once a run when there is nothing, and again when the worker is woken", async () => {
    fake.coordinator.addTask({ expectedMs: 1_000 });
    await startAgent(fake);
    await fake.clock.advance(60_000);
    expect(asksAhead()).toHaveLength(1);
    fake.push({ $case: "wake", value: {} });
    await fake.clock.settle();
    expect(asksAhead()).toHaveLength(2);
  });

  it("that a coordinator of the version before does not know leads to a plain ask once the slot is free", async () => {
    fake.coordinator.reserves = false;
    fake.coordinator.addTask({ expectedMs: 1_000 });
    fake.coordinator.addTask({});
    await startAgent(fake);
    await fake.clock.advance(1_000);
    expect(asksAhead()).toHaveLength(1);
    expect(fake.runtime.runs).toHaveLength(1);
    lastRun().succeed();
    await fake.clock.settle();
    expect(fake.runtime.runs).toHaveLength(2);
    expect(fake.coordinator.nexts.at(-1)).toMatchObject({ aheadSlots: 0 });
  });
});

describe("a reservation", () => {
  it("is followed by another only once a beat was answered that says it has begun", async () => {
    await reserved();
    const third = fake.coordinator.addTask({});
    const beats = fake.holdBeats();
    firstRun().succeed();
    await fake.clock.advance(20_000);
    expect(asksAhead()).toHaveLength(1);
    beats.release();
    await fake.clock.settle();
    expect(asksAhead()).toHaveLength(2);
    expect(lastRun().request.runId).toBe(third);
  });

  it("is fetched and lies with the runtime, but is beaten for as fetching until the slot is free", async () => {
    const { second } = await reserved();
    expect(fake.runtime.runs.map(({ hasStarted }) => hasStarted)).toEqual([true, false]);
    await fake.clock.advance(3_000);
    expect(new Set(beatsOf(second))).toEqual(new Set([fetching]));
    expect(fake.coordinator.nexts.at(-1)?.aheadSlots).toBe(1);
  });

  it("begins without asking when the slot is free, and a beat says so at once", async () => {
    const { second } = await reserved();
    const asked = fake.coordinator.nexts.length;
    const beaten = beatsOf(second).length;
    firstRun().compute();
    await fake.clock.settle();
    expect(lastRun().hasStarted).toBe(true);
    expect(fake.coordinator.nexts).toHaveLength(asked);
    expect(beatsOf(second).slice(beaten)).toEqual([computing]);
    expect(await reservations("begun")).toMatch(/ 1$/);
    expect(await metricOf(fake, "vapfarm_worker_idle_gap_seconds_count")).toMatch(/ 1$/);
  });

  it("that is still fetching when the slot comes free keeps the slot, and nothing else is asked for", async () => {
    const gate = Promise.withResolvers<undefined>();
    const { second } = await (async () => {
      const open = fake.transfer.open.bind(fake.transfer);
      let opened = 0;
      fake.transfer.open = async () => {
        opened += 1;
        if (opened === 2) await gate.promise;
        return open();
      };
      return reserved();
    })();
    fake.coordinator.addTask({});
    firstRun().succeed();
    await fake.clock.advance(60_000);
    expect(fake.runtime.runs).toHaveLength(1);
    expect(fake.coordinator.nexts.every(({ freeSlots, heldAttemptIds }) => freeSlots === 0 || heldAttemptIds.length === 0)).toBe(true);
    gate.resolve(undefined);
    await fake.clock.settle();
    expect(lastRun()).toMatchObject({ request: { runId: second }, hasStarted: true });
  });

  it("taken away before it began is dropped without a run, and told as abandoned", async () => {
    const { second } = await reserved();
    fake.push({ $case: "level", value: { attemptId: second, level: Level.LEVEL_REVOKED } });
    await fake.clock.settle();
    expect(outcomeOf(second)).toMatchObject({ $case: "failure", value: { abandoned: true } });
    firstRun().succeed();
    await fake.clock.settle();
    expect(lastRun()).toMatchObject({ request: { runId: second }, hasStarted: false });
    expect(firstRun().isCancelled()).toBe(false);
    expect(await reservations("revoked")).toMatch(/ 1$/);
    expect(fake.coordinator.beats.at(-1)?.counters).toMatchObject({ runsFailed: 0n });
  });

  it("taken away is not asked for again by the same run", async () => {
    const { second } = await reserved();
    fake.coordinator.addTask({});
    fake.push({ $case: "level", value: { attemptId: second, level: Level.LEVEL_REVOKED } });
    await fake.clock.advance(20_000);
    expect(asksAhead()).toHaveLength(1);
  });

  it("goes back when the slot does not come free within two leases", async () => {
    const { second } = await reserved();
    await fake.clock.advance(29_000);
    expect(outcomeOf(second)).toBeUndefined();
    await fake.clock.advance(1_000);
    expect(outcomeOf(second)).toMatchObject({ $case: "failure", value: { abandoned: true } });
    expect(await reservations("given_back")).toMatch(/ 1$/);
    expect(firstRun().isCancelled()).toBe(false);
  });

  it("goes back at once when the worker stops, and what runs may end", async () => {
    const { first, second } = await reserved();
    const stopped = fake.agent.stop();
    await fake.clock.settle();
    expect(outcomeOf(second)).toMatchObject({ $case: "failure", value: { abandoned: true } });
    firstRun().succeed();
    await fake.clock.settle();
    await stopped;
    expect(outcomeOf(first)?.$case).toBe("success");
  });

  it("goes back at once when its worker is drained", async () => {
    const { second } = await reserved();
    fake.push({ $case: "level", value: { attemptId: second, level: Level.LEVEL_DRAIN } });
    await fake.clock.settle();
    expect(outcomeOf(second)).toMatchObject({ $case: "failure", value: { abandoned: true } });
    expect(firstRun().isCancelled()).toBe(false);
  });

  it("does not take a slot that is given up for another task", async () => {
    const { first, second } = await reserved();
    fake.push({ $case: "level", value: { attemptId: first, level: Level.LEVEL_PREEMPT } });
    await fake.clock.settle();
    expect(outcomeOf(second)).toMatchObject({ $case: "failure", value: { abandoned: true } });
    expect(fake.runtime.runs.filter(({ hasStarted }) => hasStarted)).toHaveLength(1);
  });

  it("whose session ended is dropped with it", async () => {
    const { second } = await reserved();
    fake.coordinator.endSessions();
    await fake.clock.advance(3_000);
    firstRun().succeed();
    await fake.clock.settle();
    expect(lastRun()).toMatchObject({ request: { runId: second }, hasStarted: false });
    expect(await reservations("revoked")).toMatch(/ 1$/);
  });

  it("costs nothing when its runtime dies of another's run: it is handed to the next", async () => {
    const { first, second } = await reserved();
    fake.runtime.kill("as the test wants");
    await fake.clock.settle();
    expect(outcomeOf(first)).toMatchObject({ value: { code: "RUNTIME_DIED" } });
    expect(lastRun()).toMatchObject({ request: { runId: second }, hasStarted: true });
    lastRun().succeed();
    await fake.clock.settle();
    expect(outcomeOf(second)?.$case).toBe("success");
  });

  it("that cannot be fetched is told at once, and names the artifacts to blame", async () => {
    const first = fake.coordinator.addTask({ expectedMs: 10_000 });
    const second = fake.coordinator.addTask({});
    await startAgent(fake);
    fake.transfer.fetchFailure = new FarmError("ARTIFACT_MISSING", { details: { badInputs: ["cd".repeat(32)] } });
    await fake.clock.advance(9_900);
    expect(outcomeOf(second)).toMatchObject({ value: { code: "ARTIFACT_MISSING", abandoned: false } });
    expect(outcomeOf(first)).toBeUndefined();
    expect(await reservations("failed")).toMatch(/ 1$/);
  });

  it("waits with the agent while another finishes, so that no more than two are ever being finished", async () => {
    const gate = Promise.withResolvers<undefined>();
    fake.transfer.putGate = gate.promise;
    for (let task = 0; task < 3; task += 1) fake.coordinator.addTask({ expectedMs: 1_000 });
    await startAgent(fake);
    await fake.clock.advance(1_000);
    firstRun().succeed();
    await fake.clock.advance(1_000);
    lastRun().succeed();
    await fake.clock.advance(20_000);
    expect(fake.runtime.runs).toHaveLength(2);
    gate.resolve(undefined);
    await fake.clock.settle();
    expect(fake.runtime.runs.filter(({ hasStarted }) => hasStarted)).toHaveLength(3);
  });

  it("tells no progress before it began", async () => {
    await reserved({ jobIds: ["job-b"] });
    const told = () =>
      fake.published.filter(({ subject }) => subject.endsWith("job-b")).map(({ payload }) => ProgressMessage.decode(payload).phase);
    expect(told()).toEqual([]);
    firstRun().compute();
    await fake.clock.settle();
    expect(told()).toEqual(["compute"]);
  });
});

describe("what has computed", () => {
  it("leaves the device to the next while its outputs are still being written", async () => {
    const { first } = await reserved();
    firstRun().compute();
    await fake.clock.advance(3_000);
    expect(lastRun().hasStarted).toBe(true);
    expect(fake.coordinator.beats.at(-1)?.attempts).toMatchObject([
      { attemptId: first, phase: AttemptPhase.ATTEMPT_PHASE_FINISH, deviceMs: 9_900 },
      { phase: computing },
    ]);
  });

  it("is given up when the runtime does not write it in time", async () => {
    const { first } = await reserved();
    firstRun().compute();
    await fake.clock.advance(600_000);
    expect(outcomeOf(first)).toMatchObject({ value: { code: "DEADLINE_PASSED", abandoned: false } });
  });
});
