import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { runCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { watchUntilEnd } from "../support/farm-render.ts";
import { checkInvariants } from "../support/store-invariants.ts";
import { makeOldFarm } from "../support/upgrade-fixture.ts";

let folder = "";
let farm: TestFarm | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-upgrade-"));
  await chmod(folder, 0o711);
});
afterEach(async () => {
  await farm?.stop();
  farm = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<TestFarm> {
  farm = await startTestFarm({ args: ["--data", folder, "--workers", "1"], environment: { VAPFARM_LEASE_MS: "3000" } });
  return farm;
}

/** What the release before rendered with the same settings. */
const resultOfBefore = "2ff2208577309d854c1c47fa37e6f52c6065c17fb6129b7ac8a98c53dd7c16a3";

describe("a data folder of release 0019", { timeout: 240_000 }, () => {
  it("is taken on: what is done is there, what ran goes on, what was held waits and then runs", async () => {
    const { rows } = await makeOldFarm(folder, "0019");
    const jobs = rows["job"] as readonly { readonly id: string; readonly state: string }[];
    const jobIn = (state: string): string => jobs.find((job) => job.state === state)?.id ?? "";
    const upgraded = await start();
    expect(await upgraded.said(/applied \d+ migrations/)).toBeDefined();
    await upgraded.client.download({ jobId: jobIn("succeeded"), name: "mp4", path: join(folder, "done.mp4") });
    const bytes = await readFile(join(folder, "done.mp4"));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(resultOfBefore);

    expect((await upgraded.client.getJob(jobIn("queued"))).state).toBe(JobState.JOB_STATE_QUEUED);
    expect((await runCli(["release", "farm", "--data", folder])).code).toBe(0);
    const { job: taken } = await watchUntilEnd(upgraded.client, jobIn("running"));
    const { job: held } = await watchUntilEnd(upgraded.client, jobIn("queued"));
    expect([taken.state, held.state]).toEqual([JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_SUCCEEDED]);
    // The run that nobody ended in order was lost with its session.
    const tries = await upgraded.sql("select number, state, error_code from attempt where error_code is not null");
    expect(tries).toEqual([{ number: 1, state: "lost", error_code: "LEASE_LAPSED" }]);
    await checkInvariants(upgraded);
  });

  it("is given back unharmed when the next start is of a release that it has outgrown", async () => {
    await makeOldFarm(folder, "0019");
    const upgraded = await start();
    await upgraded.sql("update farm set needs_migration = '9999_take_away_what_this_release_uses'");
    expect(await upgraded.stop()).toBe(0);
    const refused = await runCli(["up", "--data", folder]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("DATABASE_SCHEMA_NEWER")]);
    expect(refused.stderr).toContain("9999_take_away_what_this_release_uses");
  });
});
