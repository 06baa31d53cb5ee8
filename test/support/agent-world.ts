/**
 * A fake agent for each test of a file, and what such tests ask of it.
 */
import { afterEach, beforeEach, expect } from "vitest";
import { createFakeAgent, type FakeAgent, type FakeRun } from "./fake-agent.ts";

/** Hands in a fresh one before each test; after it the agent has ended, and the coordinator saw no rule broken. */
export function useFakeAgent(take: (fresh: FakeAgent) => void): void {
  let fake: FakeAgent;
  beforeEach(() => {
    fake = createFakeAgent();
    take(fake);
  });
  afterEach(async () => {
    const stopped = fake.agent.stop();
    await fake.clock.advance(120_000);
    await stopped;
    expect(fake.coordinator.violations).toEqual([]);
  });
}

export async function startAgent(fake: FakeAgent): Promise<void> {
  await fake.agent.start();
  await fake.clock.settle();
}

/** The run that the runtime was asked for last. */
export function lastRunOf(fake: FakeAgent): FakeRun {
  return fake.runtime.runs.at(-1) ?? expect.fail("nothing runs");
}

/** The line of a metric as Prometheus reads it. */
export async function metricOf(fake: FakeAgent, name: string): Promise<string | undefined> {
  return (await fake.metrics.registry.metrics()).split("\n").find((line) => line.startsWith(name));
}
