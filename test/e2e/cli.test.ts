import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliOutcome, runCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { projectRoot } from "../support/ffmpeg.ts";

let farm: TestFarm;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-cli-e2e-"));
  farm = await startTestFarm();
  const context = ["config", "set-context", "test", "--address", farm.address, "--use"];
  expect((await vapfarm(...context)).code).toBe(0);
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The command as a person with a context runs it. */
function vapfarm(...args: readonly string[]): Promise<CliOutcome> {
  return runCli(args, { VAPFARM_CONFIG: join(folder, "config.json") });
}

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await vapfarm(...args, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const media = [
  ...["--model", "demo", "--image", join(projectRoot, "demo/image.png"), "--reference", join(projectRoot, "demo/clip.mp4")],
  ...["--reference-prompt", "A ball.", "--prompt", "A pot.", "--steps", "2", "--seed", "3"],
];

describe("a farm steered from the command line", () => {
  it("holds, explains, releases, renders and hands out what it made", async () => {
    expect((await vapfarm("hold", "farm", "--reason", "rehearsal")).stdout).toBe("the farm is held: rehearsal\n");
    const { jobId } = (await json("render", ...media, "--priority", "7", "--detach")) as { jobId: string };
    expect((await vapfarm("explain", jobId)).stdout).toContain("rehearsal");
    expect((await vapfarm("update", jobId, "--priority", "9")).stdout).toContain("priority 9");
    expect(await json("jobs", "--state", "queued")).toMatchObject({ jobs: [{ jobId, priority: 9 }] });
    expect(await json("release", "farm")).toEqual({ released: true });

    expect((await vapfarm("watch", jobId, "--json")).code).toBe(0);
    const { events } = (await json("events", jobId)) as { events: { kind: string; number: string }[] };
    expect([events[0]?.kind, events.at(-1)?.kind]).toEqual(["job.submitted", "job.succeeded"]);
    expect(events.map(({ number }) => Number(number))).toEqual(events.map((_event, index) => index + 1));

    const { artifacts } = (await json("download", jobId, "--out", folder)) as { artifacts: { path: string; sha256: string }[] };
    for (const { path, sha256 } of artifacts) {
      expect(createHash("sha256").update(await readFile(path)).digest("hex")).toBe(sha256); // prettier-ignore
    }
    const input = await vapfarm("download", jobId, "input_image", "--out", join(folder, "input.png"));
    expect([input.code, (await readFile(join(folder, "input.png"))).equals(await readFile(join(projectRoot, "demo/image.png")))]).toEqual([0, true]); // prettier-ignore

    const again = await vapfarm("retry", jobId, "--json");
    expect([again.code === 0, (JSON.parse(again.stderr) as { error: { code: string } }).error.code]).toEqual([false, "JOB_NOT_RETRYABLE"]);
    const usage = (await json("usage", "--by", "stage", "--job", jobId)) as { rows: { keys: string[] }[] };
    expect(usage.rows.map(({ keys }) => keys[0])).toContain("denoise");
  });

  it("takes a worker out of work and back", async () => {
    expect((await vapfarm("workers", "drain", "worker-1", "--reason", "repair", "--grace", "0s", "--wait")).code).toBe(0);
    expect((await vapfarm("workers", "show", "worker-1")).stdout).toMatch(/cordoned .*repair/);
    expect((await vapfarm("workers", "uncordon", "worker-1")).code).toBe(0);
    expect((await vapfarm("workers", "show", "worker-1")).stdout).not.toContain("cordoned");
  });

  it("says what it is", async () => {
    const { farm: answered } = (await json("version")) as { farm: { address: string; version: string } };
    expect([answered.address, answered.version.length > 0]).toEqual([farm.address, true]);
    expect((await vapfarm("model", "demo")).stdout).toContain("random weights");
    expect((await vapfarm("farm")).stdout).toMatch(/^pool +workers/m);
  });
});
