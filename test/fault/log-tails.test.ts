/**
 * What a worker said last when it is lost for good: agent and runtime are killed at once, and their folder is gone, as with a pod. The lease
 * is 5 s.
 */
import { rm } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { talking } from "../support/fault/talking-runtime.ts";
import { attemptsOf, denoising } from "../support/fault/renders.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { connectBroker } from "../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { withDeadline } from "../../services/platform/deadline.ts";
import { until } from "../support/until.ts";

const secret = "open-sesame-open";
const scene = useScene({ coordinators: 1, environment: talking(secret) });
afterEach(() => scene().farm.restore(), timeoutMs);

/** What is kept with the attempt. */
async function tailOf(attemptId: string): Promise<string | null> {
  const [row] = await scene().farm.sql<{ log_tail: string | null }>("select log_tail from attempt where id = $1", [attemptId]);
  return row?.log_tail ?? null;
}

/** Resolves once the attempt's worker has said what its runtime wrote. */
async function saidTail(attemptId: string): Promise<void> {
  const logger = createLogger({ name: "test", level: "silent" });
  const broker = await connectBroker({ url: scene().farm.natsUrl, name: "test", logger });
  const said = Promise.withResolvers<undefined>();
  broker.subscribe(subjectsOf("local").tail(attemptId), () => said.resolve(undefined));
  try {
    await withDeadline(said.promise, { ms: 20_000, what: "the worker's word of its log" });
  } finally {
    await broker.close();
  }
}

/** A worker in the middle of a denoise, killed with its runtime and all that it wrote. */
async function loseWorker(): Promise<{ readonly jobId: string; readonly attemptId: string }> {
  const { farm, request, submit, worker } = scene();
  // Long enough for its worker to say something of it first.
  const jobId = await submit(3 * (request().render?.steps ?? 0));
  const running = await denoising(farm, jobId);
  await saidTail(running.attemptId);
  const { program, runtimeId } = worker(running.worker);
  const runtime = await runtimeId();
  await program.freeze();
  process.kill(runtime, "SIGKILL");
  await program.kill();
  await rm(farm.layout.worker(running.worker), { recursive: true, force: true });
  return { jobId, attemptId: running.attemptId };
}

describe("the last log lines of a worker that is lost with its folder", () => {
  it(
    "are kept with its attempt, without secrets, while the task runs again elsewhere",
    async () => {
      const { farm, expectSucceeded } = scene();
      const { jobId, attemptId } = await loseWorker();
      await expectSucceeded(jobId);
      await until("the tail is kept", async () => (await tailOf(attemptId)) !== null);
      const tail = await tailOf(attemptId);
      expect(tail).toMatch(/^a library warns before step \d+, with \[redacted\]$/m);
      expect(tail).not.toContain(secret);
      const attempts = await attemptsOf(farm, jobId);
      expect(attempts.find(({ id }) => id === attemptId)).toMatchObject({ state: "lost", code: "LEASE_LAPSED" });
      const others = attempts.filter(({ id, state }) => id !== attemptId && state === "succeeded");
      expect(others).toHaveLength(1);
      expect(await Promise.all(others.map(({ id }) => tailOf(id)))).toEqual([null]);
      const lines = (await farm.log("coordinator-1")).split("\n").filter((line) => line.includes(attemptId));
      const told = lines.map((line) => JSON.parse(line) as { readonly jobId?: string; readonly taskId?: string; readonly level: number });
      expect(told.map(({ jobId: job, taskId, level }) => [job, Number(taskId) > 0, level])).toContainEqual([jobId, true, 40]);
    },
    timeoutMs,
  );
});
