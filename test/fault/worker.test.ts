import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AttemptPhase } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { readProcess } from "../../services/worker/supervise/process-table.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { scrape, valueIn } from "../support/exposition.ts";
import { startWorkerFarm, type WorkerFarm } from "../support/worker-farm.ts";

const realEntry = join(projectRoot, "services/worker/runtime/main.ts");
let farm: WorkerFarm;
const children: ChildProcess[] = [];

beforeEach(async () => {
  farm = await startWorkerFarm();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await farm.stop();
  expect(farm.coordinator.violations).toEqual([]);
});

/** A frozen runtime says nothing: the attempt is handed over and beaten for, and has not begun. */
function isHeld(): boolean {
  return farm.coordinator.beats.some(({ attempts }) => attempts.length > 0);
}

function isComputing(): boolean {
  return farm.coordinator.beats.at(-1)?.attempts[0]?.phase === AttemptPhase.ATTEMPT_PHASE_COMPUTE;
}

async function committed(attemptId: string) {
  await farm.coordinator.until(() => farm.coordinator.committed.some((report) => report.attemptId === attemptId));
  const reports = farm.coordinator.committed.filter((report) => report.attemptId === attemptId);
  expect(reports).toHaveLength(1);
  return reports[0];
}

/** The real program, as `vapfarm up` starts it. */
async function forkWorker(settings: Readonly<Record<string, string>> = {}): Promise<ChildProcess> {
  const env = { ...farm.environment, VAPFARM_EXIT_WITH_PARENT: "1", ...settings };
  const child = fork(join(projectRoot, "services/worker/main.ts"), { env, execArgv: [], stdio: ["ignore", "inherit", "pipe", "ipc"] });
  children.push(child);
  child.stderr?.resume();
  await once(child, "message");
  return child;
}

/** Resolves once the process's log says it. */
function said(child: ChildProcess, text: string): Promise<void> {
  let log = "";
  return new Promise((resolve) => {
    child.stderr?.on("data", (part: Buffer) => {
      log += part.toString();
      if (log.includes(text)) resolve();
    });
  });
}

describe("the network", () => {
  it.each(["lose", "late", "double"] as const)("may %s any message, and each task is still committed once", async (fate) => {
    const fates = (kind: string, times: number, sequence: bigint) =>
      kind !== "beat" && times === 1 && sequence % 2n === 0n ? fate : "deliver";
    farm.coordinator.fateOf = ({ kind, times, header }) => fates(kind, times, header.sequence);
    const attemptIds = Array.from({ length: 8 }, (_, task) => farm.addScript({ steps: task % 3, stepMs: 1 }));
    await farm.startWorker();
    for (const attemptId of attemptIds) expect((await committed(attemptId))?.outcome?.$case).toBe("success");
    expect(farm.coordinator.dropped).toEqual([]);
  });

  it("may be away in mid-run for longer than the lease: the run goes on and is reported", async () => {
    farm.coordinator.leaseMs = 150n;
    const attemptId = farm.addScript({ until: farm.pathOf("go"), stepMs: 5 });
    const worker = await farm.startWorker();
    await farm.coordinator.until(isComputing);
    const runtimeId = await farm.runtimeId();
    await farm.nats.halt();
    await expect.poll(() => farm.logged, { timeout: 20_000 }).toContain("the lease could not be renewed in time");
    expect((await fetch(`http://${worker.httpAddress()}/readyz`)).status).toBe(503);
    await farm.release("go");
    await farm.nats.resume();
    expect((await committed(attemptId))?.outcome?.$case).toBe("success");
    expect(await farm.runtimeId()).toBe(runtimeId);
    await expect.poll(async () => (await fetch(`http://${worker.httpAddress()}/readyz`)).status, { timeout: 20_000 }).toBe(200);
  });
});

describe("the fence", () => {
  it("lost in mid-run stops the run, and its report changes nothing", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5 });
    await farm.startWorker();
    await farm.coordinator.until(isComputing);
    farm.coordinator.revoke(attemptId);
    await farm.coordinator.until(() => farm.coordinator.dropped.length > 0);
    expect(farm.coordinator.committed).toEqual([]);
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
  });

  it("lost with the session leads to a new session that takes new work", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5 });
    await farm.startWorker();
    await farm.coordinator.until(isComputing);
    farm.coordinator.endSessions();
    await farm.coordinator.until(() => farm.coordinator.dropped.some((report) => report.attemptId === attemptId));
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
    expect(farm.coordinator.sessions.size).toBe(2);
  });
});

describe("the runtime", () => {
  it("killed in mid-run fails the attempt at once, and another takes its place", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5 });
    const worker = await farm.startWorker();
    await farm.coordinator.until(isComputing);
    const killed = await farm.runtimeId();
    process.kill(killed, "SIGKILL");
    expect((await committed(attemptId))?.outcome).toMatchObject({ value: { code: "RUNTIME_DIED", abandoned: false } });
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
    expect(await farm.runtimeId()).not.toBe(killed);
    const metrics = await scrape(worker.httpAddress());
    expect(valueIn(metrics, "vapfarm_worker_runtime_restarts_total")).toBe(1);
    expect(valueIn(metrics, "vapfarm_stage_rpc_seconds_count", { method: "RunStage", code: "RUNTIME_DIED" })).toBe(1);
  });

  it("tells in its last words why it died, without secrets, but nothing of the run before", async () => {
    const before = farm.addScript({ say: "an earlier run\n" });
    const died = farm.addScript({ say: "device lost, key sesame-street\n", die: true });
    const failed = farm.addScript({ say: "out of paper\n", failWith: "STAGE_FAILED" });
    await farm.startWorker({ settings: { TEST_SECRET: "sesame-street" } });
    await committed(before);
    expect((await committed(died))?.outcome).toMatchObject({ value: { code: "RUNTIME_DIED", logTail: "device lost, key [redacted]\n" } });
    expect((await committed(failed))?.outcome).toMatchObject({ value: { code: "STAGE_FAILED", logTail: "out of paper\n" } });
  });

  it("stopped in mid-run is killed once its progress stands still for too long", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5 });
    await farm.startWorker({ settings: { VAPFARM_STALL_MS: "400" } });
    await farm.coordinator.until(isComputing);
    process.kill(await farm.runtimeId(), "SIGSTOP");
    expect((await committed(attemptId))?.outcome).toMatchObject({ value: { code: "STAGE_HUNG" } });
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
  });

  it("that will not let go of a cancelled run is killed after its grace, and the next task runs in another", async () => {
    const attemptId = farm.addScript({ until: farm.pathOf("never"), stepMs: 5, deaf: true });
    await farm.startWorker();
    await farm.coordinator.until(isComputing);
    const deaf = await farm.runtimeId();
    farm.coordinator.revoke(attemptId);
    await farm.coordinator.until(() => farm.coordinator.dropped.length > 0);
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
    expect(await farm.runtimeId()).not.toBe(deaf);
  });

  it("that dies in every run is restarted each time, and every attempt is reported", async () => {
    const attemptIds = [farm.addScript({ die: true }), farm.addScript({ die: true }), farm.addScript({})];
    await farm.startWorker();
    const codes = [];
    for (const attemptId of attemptIds) codes.push((await committed(attemptId))?.outcome);
    expect(codes).toMatchObject([{ value: { code: "RUNTIME_DIED" } }, { value: { code: "RUNTIME_DIED" } }, { $case: "success" }]);
  });
});

describe("the agent", () => {
  it("killed with -9 takes its runtime with it", async () => {
    const child = await forkWorker();
    const runtimeId = await farm.runtimeId();
    child.kill("SIGKILL");
    await expect.poll(async () => (await readProcess(runtimeId))?.state ?? "gone", { timeout: 20_000 }).toMatch(/^(gone|Z)$/);
  });

  it("started again kills the runtime that a killed one left hanging", async () => {
    const child = await forkWorker();
    const runtimeId = await farm.runtimeId();
    process.kill(runtimeId, "SIGSTOP");
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    expect((await readProcess(runtimeId))?.state).toBe("T");
    await farm.startWorker({ runtimeEntry: realEntry });
    expect((await readProcess(runtimeId))?.state ?? "gone").toMatch(/^(gone|Z)$/);
    expect(await farm.runtimeId()).not.toBe(runtimeId);
  });

  it("started again after a kill in mid-run names the attempt that it lost, once", async () => {
    const child = await forkWorker({ VAPFARM_LOG_LEVEL: "info" });
    process.kill(await farm.runtimeId(), "SIGSTOP");
    const attemptId = farm.addScript({});
    farm.push({ $case: "wake", value: {} });
    await farm.coordinator.until(isHeld);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    const known = farm.coordinator.nexts.length;
    await farm.startWorker();
    expect((await committed(farm.addScript({})))?.outcome?.$case).toBe("success");
    const told = farm.coordinator.nexts.slice(known).map(({ lostAttempts }) => lostAttempts);
    expect([told[0], told.slice(1).flat()]).toEqual([[{ attemptId, logTail: "" }], []]);
  });

  it("drains on SIGTERM and exits with 0", async () => {
    const child = await forkWorker();
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
    expect(farm.coordinator.nexts.at(-1)).toMatchObject({ freeSlots: 0, heldAttemptIds: [] });
  });

  it.each(["SIGTERM", "SIGINT"] as const)("ends at once on a second %s, with its runtime, although that is frozen", async (signal) => {
    const child = await forkWorker({ VAPFARM_LOG_LEVEL: "info" });
    const runtimeId = await farm.runtimeId();
    process.kill(runtimeId, "SIGSTOP");
    farm.addScript({});
    farm.push({ $case: "wake", value: {} });
    await farm.coordinator.until(isHeld);
    const exited = once(child, "exit");
    const stopping = said(child, '"stopping"');
    child.kill("SIGTERM");
    await stopping;
    child.kill(signal);
    expect(await exited).toEqual([1, null]);
    await expect.poll(async () => (await readProcess(runtimeId))?.state ?? "gone", { timeout: 20_000 }).toMatch(/^(gone|Z)$/);
    expect(farm.coordinator.committed).toEqual([]);
  });

  it("exits with 1 when another life of it has taken its place", async () => {
    const child = await forkWorker();
    const exited = once(child, "exit");
    farm.coordinator.refuseWith = "SESSION_SUPERSEDED";
    expect(await exited).toEqual([1, null]);
  });

  it("stops when its parent's end of the IPC channel closes", async () => {
    const child = await forkWorker();
    const exited = once(child, "exit");
    child.disconnect();
    expect(await exited).toEqual([0, null]);
  });
});
