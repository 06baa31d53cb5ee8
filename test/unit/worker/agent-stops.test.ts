import { describe, expect, it } from "vitest";
import { Level } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { lastRunOf, metricOf, startAgent, useFakeAgent } from "../../support/agent-world.ts";
import { createFakeAgent, type FakeAgent } from "../../support/fake-agent.ts";

let fake: FakeAgent;
useFakeAgent((fresh) => (fake = fresh));

/** An attempt in the middle of its compute. */
async function computing(): Promise<string> {
  const attemptId = fake.coordinator.addTask({});
  await startAgent(fake);
  lastRunOf(fake).progress({ step: 3, steps: 50, counter: 3n, stepMs: 100 });
  return attemptId;
}

const push = (attemptId: string, level: Level): void => fake.push({ $case: "level", value: { attemptId, level } });
const stopSum = (level: string): Promise<string | undefined> => metricOf(fake, `vapfarm_stop_seconds_sum{level="${level}"}`);
const stopCount = (level: string): Promise<string | undefined> => metricOf(fake, `vapfarm_stop_seconds_count{level="${level}"}`);

describe("the time that a stop takes", () => {
  it("is that from hearing of it to the run's end, once an attempt, whatever is heard afterwards", async () => {
    const attemptId = await computing();
    const run = lastRunOf(fake);
    const { onLeave } = run;
    run.onLeave = () => undefined;
    push(attemptId, Level.LEVEL_PREEMPT);
    push(attemptId, Level.LEVEL_PREEMPT);
    await fake.clock.advance(1_500);
    expect(await stopCount("preempt")).toMatch(/ 0$/);
    onLeave();
    await fake.clock.settle();
    expect(await stopSum("preempt")).toMatch(/ 1\.5$/);
    expect(await stopCount("preempt")).toMatch(/ 1$/);
    expect(fake.coordinator.committed.at(-1)?.outcome).toMatchObject({ value: { abandoned: true, message: "made way for another task" } });
  });

  it("lasts until the runtime has let go of a cancelled run", async () => {
    const attemptId = await computing();
    fake.runtime.setReady(false);
    push(attemptId, Level.LEVEL_UNWANTED);
    await fake.clock.advance(2_000);
    expect(await stopCount("unwanted")).toMatch(/ 0$/);
    fake.runtime.setReady(true);
    await fake.clock.settle();
    expect(await stopSum("unwanted")).toMatch(/ 2$/);
  });

  it("is none of an attempt that had the device no more", async () => {
    const gate = Promise.withResolvers<undefined>();
    fake.transfer.putGate = gate.promise;
    const attemptId = await computing();
    lastRunOf(fake).succeed();
    await fake.clock.settle();
    push(attemptId, Level.LEVEL_REVOKED);
    await fake.clock.settle();
    gate.resolve(undefined);
    expect(await stopCount("revoked")).toMatch(/ 0$/);
  });
});

it("a level that is taken back before it was heard of changes nothing", async () => {
  const attemptId = await computing();
  push(attemptId, Level.LEVEL_WANTED);
  await fake.clock.advance(3_000);
  expect(lastRunOf(fake).isCancelled()).toBe(false);
  lastRunOf(fake).succeed();
  await fake.clock.settle();
  expect(fake.coordinator.committed.at(-1)).toMatchObject({ attemptId, outcome: { $case: "success" } });
});

it("an agent that leaves at once asks what runs to, and tells its last checkpoint before its last word", async () => {
  const quick = createFakeAgent({ leaveAtOnce: true });
  quick.coordinator.addTask({});
  await startAgent(quick);
  const run = lastRunOf(quick);
  const { onLeave } = run;
  run.onLeave = () => {
    run.checkpoint(9);
    onLeave();
  };
  const stopped = quick.agent.stop();
  await quick.clock.advance(1);
  await stopped;
  expect(quick.coordinator.committed.at(-1)?.outcome).toMatchObject({ value: { abandoned: true } });
  expect(quick.coordinator.beats.flatMap(({ attempts }) => attempts.map(({ checkpoint }) => checkpoint?.step))).toContain(9);
  expect(quick.coordinator.nexts.at(-1)).toMatchObject({ leaving: true, heldAttemptIds: [] });
});
