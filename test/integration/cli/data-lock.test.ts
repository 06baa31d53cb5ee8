import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeDataLock } from "../../../services/cli/up/data-lock.ts";
import { identify, isStillAlive } from "../../../services/cli/up/process-identity.ts";
import { endLeftovers, readLedger, writeLedger } from "../../../services/cli/up/process-ledger.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-lock-"));
  path = join(folder, "up.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process that waits until it is ended. */
async function waitingProcess(): Promise<{ readonly processId: number; readonly ended: Promise<unknown[]> }> {
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  await once(child, "spawn");
  return { processId: child.pid ?? 0, ended: once(child, "exit") };
}

describe("the lock of a data folder", () => {
  it("is held by one farm at a time", async () => {
    const lock = await takeDataLock(path, folder);
    await expect(takeDataLock(path, folder)).rejects.toThrow(`process ${process.pid}`);
    await lock.release();
    await (await takeDataLock(path, folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("is taken over from a process that is gone", async () => {
    const other = await waitingProcess();
    const identity = await identify(other.processId);
    await writeFile(path, JSON.stringify(identity));
    await expect(takeDataLock(path, folder)).rejects.toThrow(`process ${other.processId}`);
    process.kill(other.processId, "SIGKILL");
    await other.ended;
    await (await takeDataLock(path, folder)).release();
  });

  it("is not mistaken for another process that got the same number", async () => {
    await writeFile(path, JSON.stringify({ processId: process.pid, began: "another boot:1" }));
    await (await takeDataLock(path, folder)).release();
  });

  it("is taken over when it is damaged", async () => {
    await writeFile(path, "{");
    await (await takeDataLock(path, folder)).release();
  });

  it("has one winner when several start at once on a stale lock", async () => {
    await writeFile(path, JSON.stringify({ processId: 1, began: "another boot:1" }));
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => takeDataLock(path, folder)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("the ledger of processes", () => {
  it("ends what an earlier run left, and nothing that only has the same number", async () => {
    const [left, foreign] = await Promise.all([waitingProcess(), waitingProcess()]);
    const ledger = join(folder, "processes.json");
    await writeLedger(ledger, [{ name: "nats", processId: left.processId }]);
    const entries = [...(await readLedger(ledger)), { name: "worker-1", processId: foreign.processId, began: "another boot:1" }];
    expect(await endLeftovers(entries)).toEqual(["nats"]);
    await left.ended;
    const identity = await identify(foreign.processId);
    expect(identity !== undefined && (await isStillAlive(identity))).toBe(true);
    process.kill(foreign.processId, "SIGKILL");
    await foreign.ended;
  });

  it("is empty when there is none or it is damaged", async () => {
    expect(await readLedger(join(folder, "none.json"))).toEqual([]);
    await writeFile(join(folder, "bad.json"), "[{");
    expect(await readLedger(join(folder, "bad.json"))).toEqual([]);
  });
});
