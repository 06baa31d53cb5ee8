/**
 * Alerts on what is away, each made to fire by the fault that it is for: NATS, Postgres, coordinators and workers of a real farm are halted, and a
 * real Prometheus with the committed rules, their times cut short, says so.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { collectProofs, expectQuiet, writeCutRules } from "../support/alerts.ts";
import { type FaultFarm, startFaultFarm } from "../support/fault/farm.ts";
import { denoising, endsOf, type Inputs, requestOf, submitPatiently, uploadInputs } from "../support/fault/renders.ts";
import { targetsOf } from "../support/grafana/load.ts";
import { startPrometheus, type TestPrometheus } from "../support/prometheus.ts";

const timeoutMs = 180_000;
/** Of denoise: lasts through the faults. */
const longSteps = 1_000;

let farm: FaultFarm;
let inputs: Inputs;
let prometheus: TestPrometheus;
let seed = 0;
const started: (() => Promise<void>)[] = [];
const { beforeFault, fires, expectAll } = collectProofs(() => prometheus, "outages");

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-alerts-"));
  started.push(() => rm(folder, { recursive: true, force: true }));
  // Three workers: more than two and a third of a pool are a mass lapse.
  farm = await startFaultFarm({ workers: 3 });
  started.push(() => farm.stop());
  inputs = await uploadInputs(coordinator().client);
  prometheus = await startPrometheus({ targets: targetsOf(farm), ruleFiles: [await writeCutRules(folder)] });
  started.push(() => prometheus.stop());
}, timeoutMs);

afterEach(() => farm.restore(), timeoutMs);
afterAll(async () => {
  for (const stop of started.toReversed()) await stop();
}, timeoutMs);

function coordinator() {
  return farm.coordinators[0] ?? expect.fail("no coordinator");
}

function submit(steps: number): Promise<string> {
  return submitPatiently(coordinator().client, requestOf({ inputs, seed: (seed += 1), steps }));
}

describe("alerts on what is away", { timeout: timeoutMs }, () => {
  it("do not fire while the farm works", async () => {
    const jobId = await submit(3);
    expect(await endsOf(farm, [jobId])).toEqual(["succeeded"]);
    await expectQuiet(prometheus);
  });

  it("NATS halted: nothing beats, nothing is copied, nothing is reaped", async () => {
    const jobId = await submit(longSteps);
    await denoising(farm, jobId);
    await beforeFault();
    await farm.nats.kill();
    // What happens meanwhile is told to nobody.
    await submit(1);
    await fires("VapfarmBrokerDisconnected", "VapfarmBeatPathBroken", "VapfarmEventsNotCopied", "VapfarmReapingHeldBack");
  });

  it("workers frozen together: leases lapse, and their work has nobody", async () => {
    await submit(longSteps);
    await beforeFault("VapfarmTargetDown", "VapfarmMassLapse", "VapfarmLeaseLosses", "VapfarmNoWorkerForWork");
    await Promise.all(farm.workers.map(({ program }) => program.freeze()));
    // A third of a real pool is many, whose beats lie close together; those of three lie seconds apart, and would be reaped one by one.
    await farm.sql("update session set lease_until = (select max(lease_until) from session where is_live) where is_live");
    await fires("VapfarmTargetDown", "VapfarmMassLapse", "VapfarmLeaseLosses", "VapfarmNoWorkerForWork");
  });

  it("a lock on the tasks: statements wait for connections, values grow old", async () => {
    const holder = new pg.Client({ connectionString: farm.databaseUrl });
    await holder.connect();
    try {
      await beforeFault("VapfarmValuesOld");
      await holder.query("begin");
      await holder.query("lock table session, task, job in access exclusive mode");
      const asking = setInterval(() => void askInVain(), 50);
      await fires("VapfarmDatabaseSlow", "VapfarmValuesOld").finally(() => clearInterval(asking));
      await holder.query("rollback");
    } finally {
      await holder.end();
    }
  });

  it("Postgres halted: no coordinator reaches it, calls fail", async () => {
    await beforeFault("VapfarmDatabaseUnreachable", "VapfarmCallsFail");
    await farm.postgres.kill();
    // Clients go on asking, and are refused.
    const asking = setInterval(() => void askInVain(), 200);
    await fires("VapfarmDatabaseUnreachable", "VapfarmCallsFail").finally(() => clearInterval(asking));
  });

  it("no coordinator left: nobody answers workers", async () => {
    await beforeFault("VapfarmWorkerCallsFail");
    await Promise.all(farm.coordinators.map(({ program }) => program.kill()));
    await fires("VapfarmCoordinatorAbsent", "VapfarmWorkerCallsFail");
  });

  it("are all of those that this file must prove", () => {
    expectAll();
  });
});

async function askInVain(): Promise<void> {
  await coordinator()
    .client.getJob(randomUUID())
    .catch(() => undefined);
}
