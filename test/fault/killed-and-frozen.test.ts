/**
 * Each program of a farm of two coordinators and two workers is killed, and frozen for longer than a lease and let go on, in the middle of a
 * render. The lease is 5 s instead of 15 s, and a frozen runtime is found after 5 s instead of 30. Afterwards the checker holds all that was
 * kept against all that was seen.
 */
import { describe, expect, it } from "vitest";
import { pause } from "../../services/platform/deadline.ts";
import { outage, unheard } from "../support/fault/judgement.ts";
import { attemptsOf } from "../support/fault/renders.ts";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { until } from "../support/until.ts";

const scene = useScene({ environment: { VAPFARM_STALL_MS: "5000" } });

/** Leases lapse while it lasts. */
function longerThanALease(): Promise<void> {
  return pause(scene().farm.leaseMs * 1.4);
}

describe("a worker agent", () => {
  it(
    "killed loses its run to the other, and joins again",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbed();
      await worker(name).program.kill();
      await expectSucceeded(jobId);
      expect(await attemptsOf(farm, jobId)).toMatchObject([
        { worker: name, state: "lost", code: "LEASE_LAPSED", charged: { unexplained: 1 } },
        { state: "succeeded" },
      ]);
      await farm.restore();
    },
    timeoutMs,
  );

  it(
    "frozen for longer than a lease loses its run to the other; what it says afterwards changes nothing, and it takes new work",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbed();
      await unheard(farm, `${name} is frozen`, async () => {
        await worker(name).program.freeze();
        await until("its lease lapsed", async () => (await attemptsOf(farm, jobId))[0]?.state === "lost");
        await worker(name).program.thaw();
      });
      await expectSucceeded(jobId);
      expect((await attemptsOf(farm, jobId)).filter(({ state }) => state === "succeeded")).toHaveLength(1);
      const opened = `select 1 from session s join worker w on w.session_id = s.id where w.name = $1 and s.is_live`;
      await until("it has a session again", async () => (await farm.sql(opened, [name])).length === 1);
    },
    timeoutMs,
  );
});

describe("a stage runtime", () => {
  it(
    "killed fails its run at once, which runs again on the other worker",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbed();
      process.kill(await worker(name).runtimeId(), "SIGKILL");
      await expectSucceeded(jobId);
      const [first, second] = await attemptsOf(farm, jobId);
      expect(first).toMatchObject({ worker: name, state: "failed", code: "RUNTIME_DIED" });
      expect(second).toMatchObject({ state: "succeeded" });
      expect(second?.worker).not.toBe(name);
    },
    timeoutMs,
  );

  it(
    "frozen is found by its progress, killed, and its run runs again",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbed();
      process.kill(await worker(name).runtimeId(), "SIGSTOP");
      await expectSucceeded(jobId);
      expect((await attemptsOf(farm, jobId))[0]).toMatchObject({ worker: name, state: "failed", code: "STAGE_HUNG" });
    },
    timeoutMs,
  );
});

describe("a coordinator", () => {
  it.each([0, 1])(
    "killed leaves the work to the other: no run is lost (%i)",
    async (index) => {
      const { coordinator, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      await coordinator(index).program.kill();
      await expectUndisturbed(jobId);
      await coordinator(index).program.start();
    },
    timeoutMs,
  );

  it(
    "frozen for longer than a lease and let go on leaves the work to the other: no run is lost",
    async () => {
      const { coordinator, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      await coordinator(1).program.freeze();
      await longerThanALease();
      await coordinator(1).program.thaw();
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );
});

describe.each(["nats", "postgres"] as const)("%s", (name) => {
  it(
    "killed and started again costs no run",
    async () => {
      const { farm, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      await outage(farm, `${name} is killed`, async () => {
        await farm[name].kill();
        await farm[name].start();
      });
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );

  it(
    "frozen for longer than a lease and let go on costs no run",
    async () => {
      const { farm, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      await outage(farm, `${name} is frozen`, async () => {
        await farm[name].freeze();
        await longerThanALease();
        await farm[name].thaw();
      });
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );
});
