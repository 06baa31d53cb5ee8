/**
 * `vapfarm render --file` when things go wrong: the command killed or left, a file that is no media, a render that fails while it runs.
 */
import { createHash, randomUUID } from "node:crypto";
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BatchResult } from "../../services/cli/batch/results.ts";
import { layoutOf } from "../../services/cli/data-folder.ts";
import { HoldScope } from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { runCli, startCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { projectRoot } from "../support/ffmpeg.ts";

type BatchReport = { readonly jobs: readonly string[]; readonly renders: readonly BatchResult[] };
type Entry = { readonly name: string; readonly clip?: string; readonly steps?: number };

let farm: TestFarm;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-cli-batch-"));
  for (const name of ["image.png", "clip.mp4"]) await copyFile(join(projectRoot, "demo", name), join(folder, name));
  farm = await startTestFarm();
}, 120_000);
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A batch of these renders, a prompt of its own, so that no other test's results serve it. */
function batchOf(...entries: readonly Entry[]): string {
  const prompt = `A pot inflates, ${randomUUID()}.`;
  const renders = entries.map(({ name, clip = "clip.mp4", steps = 2 }) => ({
    name,
    prompt,
    steps,
    seed: 1,
    model: "demo",
    image: join(folder, "image.png"),
    references: [{ media: join(folder, clip), prompt: "A ball inflates." }],
  }));
  return JSON.stringify({ renders }, undefined, 1);
}

async function fileOf(...entries: readonly Entry[]): Promise<string> {
  const path = join(folder, `${randomUUID()}.json`);
  await writeFile(path, batchOf(...entries));
  return path;
}

const render = (file: string, out: string, ...more: readonly string[]): readonly string[] => [
  ...["render", "--file", file, "--out", join(folder, out), "--address", farm.address],
  ...more,
];

async function jobs(): Promise<number> {
  return (await farm.sql("select 1 from job")).length;
}

async function expectVideo(path: string | undefined): Promise<void> {
  expect((await readFile(path ?? "")).subarray(4, 8).toString()).toBe("ftyp");
}

describe("a batch file", { timeout: 240_000 }, () => {
  it.each([
    ["after an upload", /^uploaded /m, 0],
    ["while its renders run", /^job \S+: 2 renders$/m, 1],
  ])("is one job although the command was killed %s, and its repeat has all results", async (_when, printed, stored) => {
    const before = await jobs();
    const file = await fileOf({ name: "one", steps: 150 }, { name: "two", steps: 151 });
    const out = randomUUID();
    const killed = startCli(render(file, out));
    await killed.printed(printed);
    killed.process.kill("SIGKILL");
    expect((await killed.outcome).code).toBeNull();
    expect((await jobs()) - before).toBeGreaterThanOrEqual(stored);
    const { code, stdout } = await runCli(render(file, out, "--json"));
    expect(code).toBe(0);
    const { renders } = JSON.parse(stdout) as BatchReport;
    expect(renders.map(({ name, state }) => [name, state])).toEqual([
      ["one", "succeeded"],
      ["two", "succeeded"],
    ]);
    for (const { files } of renders) await expectVideo(files["mp4"]);
    expect((await jobs()) - before).toBe(1);
  });

  it("goes on when it is left with Ctrl-C, which says how to come back and how to cancel it", async () => {
    const file = await fileOf({ name: "one", steps: 200 }, { name: "two", steps: 201 });
    const out = randomUUID();
    const left = startCli(render(file, out));
    await left.printed(/^job \S+: 2 renders$/m);
    left.process.kill("SIGINT");
    const { code, stderr } = await left.outcome;
    const jobId = /^job (\S+): 2 renders$/m.exec(stderr)?.[1] ?? "none";
    expect(code).toBe(130);
    expect(stderr).toContain(`The batch goes on. Repeat this command to come back to it; cancel it: vapfarm cancel ${jobId}`);
    expect((await farm.client.getJob(jobId)).endTime).toBeUndefined();
    const again = await runCli(render(file, out, "--json"));
    expect([again.code, (JSON.parse(again.stdout) as BatchReport).jobs]).toEqual([0, [jobId]]);
  });

  it("may come from stdin", async () => {
    const { code, stdout } = await runCli(render("-", randomUUID()), {}, batchOf({ name: "piped" }));
    expect(code).toBe(0);
    await expectVideo(/^piped +succeeded +1 +(\S+piped\.mp4)$/m.exec(stdout)?.[1]);
    const faulty = await runCli(render("-", randomUUID()), {}, "renders: []");
    expect([faulty.code, faulty.stderr]).toEqual([2, expect.stringContaining("stdin:1:") as string]);
  });

  it("with a reference that is no media is refused before anything is submitted, by the file's name", async () => {
    const before = await jobs();
    await writeFile(join(folder, "broken.mp4"), "this is no video");
    const { code, stderr } = await runCli(render(await fileOf({ name: "good" }, { name: "bad", clip: "broken.mp4" }), randomUUID()));
    expect(code).toBe(2);
    expect(stderr).toMatch(/MEDIA_\w+.*broken\.mp4/);
    expect(await jobs()).toBe(before);
  });

  it("with a render that fails while it runs exits with 1, and the others' files are there", async () => {
    const lost = Buffer.concat([await readFile(join(folder, "clip.mp4")), Buffer.from("\0\0\0\x0cfreelost", "latin1")]);
    await writeFile(join(folder, "lost.mp4"), lost);
    const file = await fileOf({ name: "good" }, { name: "bad", clip: "lost.mp4" });
    const out = randomUUID();
    const farmWide = { scope: HoldScope.HOLD_SCOPE_FARM };
    await farm.client.calls.placeHold({ ...farmWide, reason: "its input goes away" });
    expect((await runCli(render(file, out, "--detach"))).code).toBe(0);
    const sha256 = createHash("sha256").update(lost).digest("hex");
    await rm(join(layoutOf(farm.dataFolder).artifacts, sha256.slice(0, 2), sha256));
    await farm.client.calls.releaseHold(farmWide);
    const { code, stdout } = await runCli(render(file, out, "--json"));
    expect(code).toBe(1);
    const [good, bad] = (JSON.parse(stdout) as BatchReport).renders;
    expect([good?.state, bad?.state, bad?.failure?.code]).toEqual(["succeeded", "failed", "ARTIFACT_MISSING"]);
    await expectVideo(good?.files["mp4"]);
    expect(bad?.files).toEqual({});
    await expect(stat(join(folder, out, "bad"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
