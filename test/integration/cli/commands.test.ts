import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import stringWidth from "string-width";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../../../services/cli/exit-codes.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { FarmServiceService, JobEvent, JobState } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { Farm, HoldScope, UsageKey } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { playCli, type PlayedTerminal } from "../../support/cli-context.ts";
import { commandOf, nodes } from "../../support/command-lines.ts";
import { answersInOrder, bytes, created } from "../../support/farm-in-order.ts";
import { type MethodName, scriptedJob, scriptedUploads, type ScriptedFarm, startScriptedFarm } from "../../support/scripted-farm.ts";

let farm: ScriptedFarm;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-commands-"));
  farm = await startScriptedFarm(answersInOrder());
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
  await rm(nodes, { recursive: true, force: true });
});
beforeEach(() => {
  farm.calls.length = 0;
});

function environment() {
  return { VAPFARM_ADDRESS: farm.address, VAPFARM_CONFIG: join(folder, "config.json") };
}

async function ran(args: readonly string[], terminal?: PlayedTerminal) {
  const cli = playCli(environment(), terminal);
  const code = await cli.run(...args);
  return { code, stdout: cli.stdout(), stderr: cli.stderr() };
}

describe("every call of the farm", () => {
  it("has a command", () => {
    expect(Object.keys(commandOf).sort()).toEqual(Object.keys(FarmServiceService).sort());
  });

  it.each((Object.keys(commandOf) as MethodName[]).filter((method) => method !== "getUpload"))(
    "%s is made by its command",
    async (method) => {
      // One that has the media already would not be sent them.
      const own = method === "uploadMedia" ? await startScriptedFarm({ ...answersInOrder(), ...scriptedUploads([]) }) : farm;
      const cli = playCli({ ...environment(), VAPFARM_ADDRESS: own.address });
      const code = await cli.run(...commandOf[method]);
      const made = own.requests(method).length;
      if (own !== farm) await own.stop();
      expect([code, cli.stderr().includes("error")]).toEqual([exitCodes.ok, false]);
      expect(made).toBeGreaterThan(0);
    },
  );

  it("getUpload is made when an upload breaks off", async () => {
    const broken = await startScriptedFarm({ ...answersInOrder(), ...scriptedUploads([1]) });
    const code = await playCli({ ...environment(), VAPFARM_ADDRESS: broken.address }).run(...commandOf.getUpload);
    await broken.stop();
    expect([code, broken.requests("getUpload").length]).toEqual([exitCodes.ok, 1]);
  });

  it.each(Object.entries(commandOf).filter(([method]) => !["submitRenders", "downloadArtifact", "watchJob"].includes(method)))(
    "%s answers one JSON document with --json",
    async (_method, args) => {
      const { code, stdout } = await ran([...args, "--json"]);
      expect(code).toBe(exitCodes.ok);
      expect(JSON.parse(stdout)).toBeTypeOf("object");
    },
  );
});

describe("what a command asks for", () => {
  it.each<[string, readonly string[], MethodName, object]>([
    ["filters of jobs", ["jobs", "--state", "running,failed", "--class", "benchmark", "--model", "demo", "--order", "priority desc", "--limit", "7"], "listJobs", { states: [2, 4], jobClass: 2, model: "demo", orderBy: "priority desc", pageSize: 7 }], // prettier-ignore
    ["an update of the priority alone", ["update", "job-1", "--priority", "-7"], "updateJob", { priority: -7, updateMask: ["priority"] }],
    ["no deadline any more", ["update", "job-1", "--no-deadline"], "updateJob", { deadline: undefined, updateMask: ["deadline"] }],
    ["a drain with its grace", ["workers", "drain", "w", "--grace", "1m30s"], "drainWorker", { workerId: "w", graceMs: 90_000n }],
    ["a drain to the tasks' end", ["workers", "drain", "w"], "drainWorker", { graceMs: undefined }],
    ["a hold of the caller's tenant", ["hold", "tenant"], "placeHold", { scope: HoldScope.HOLD_SCOPE_TENANT, name: "" }],
    ["usage by keys in their order", ["usage", "--by", "stage,tenant"], "getUsage", { groupBy: [UsageKey.USAGE_KEY_STAGE, UsageKey.USAGE_KEY_TENANT] }], // prettier-ignore
    ["a price from a time on", ["prices", "set", "gpu", "0.000000001", "--currency", "EUR", "--from", "2030-01-01"], "setPrice", { pool: "gpu", perHour: { currencyCode: "EUR", units: 0n, nanos: 1 }, startTime: new Date("2030-01-01") }], // prettier-ignore
    ["a budget in money", ["budgets", "set", "tenant", "a", "--money", "12.5", "--currency", "EUR", "--period", "month", "--action", "cancel"], "setBudget", { scope: 1, name: "a", limit: { $case: "money", value: { currencyCode: "EUR", units: 12n, nanos: 500_000_000 } }, period: 2, action: 2 }], // prettier-ignore
    ["a budget in device time", ["budgets", "set", "job", "job-1", "--gpu-seconds", "90.5"], "setBudget", { scope: 2, name: "job-1", limit: { $case: "gpuSeconds", value: 90.5 }, period: 1, action: 1 }], // prettier-ignore
    ["which budget goes", ["budgets", "delete", "job", "job-1", "--unit", "gpu-seconds"], "deleteBudget", { scope: 2, name: "job-1", unit: 2, period: 1 }], // prettier-ignore
    ["media by address", ["render", "--model", "demo", "--image", "https://m.example/i.png", "--prompt", "p", "--job-class", "benchmark", "--detach"], "submitRender", { jobClass: 2, render: { image: { uri: "https://m.example/i.png", sha256: "" } } }], // prettier-ignore
    ["an address for a time", ["url", "job-1", "mp4", "--lifetime", "10m", "--render", "2"], "getArtifactUrl", { renderPosition: 2, lifetimeSeconds: 600 }], // prettier-ignore
    ["a range", ["download", "job-1", "mp4", "--range", "3-5", "--out", "-"], "downloadArtifact", { offsetBytes: 3n, lengthBytes: 3n }],
  ])("%s", async (...[, args, method, request]) => {
    expect((await ran(args)).code).toBe(exitCodes.ok);
    expect(farm.requests(method)[0]).toMatchObject(request);
  });

  it("signs webhooks with the key of the file", async () => {
    const path = join(folder, "secret");
    await writeFile(path, "whsec_abc\n");
    const webhook = ["--webhook", "https://h.example/x", "--webhook-secret-file", path];
    await ran(["render", "--model", "demo", "--image", "https://m.example/i.png", "--prompt", "p", "--detach", ...webhook]);
    expect(farm.requests("submitRender")[0]).toMatchObject({ webhook: { url: "https://h.example/x", secret: "whsec_abc" } });
  });

  it.each([
    ["a state that is none", ["jobs", "--state", "bogus"], "--state"],
    ["a time that is none", ["jobs", "--since", "yesterday"], "--since"],
    ["a position that is none", ["job", "job-1", "--render", "-1"], "--render"],
    ["an update of nothing", ["update", "job-1"], "--priority"],
    ["a pool without a name", ["hold", "pool"], "name"],
    ["a budget without a limit", ["budgets", "set", "tenant", "a"], "--money"],
    ["a budget with two limits", ["budgets", "set", "tenant", "a", "--money", "1", "--gpu-seconds", "1"], "--money"],
    ["an amount that is none", ["prices", "set", "gpu", "1e3", "--currency", "EUR"], "amount"],
    ["a range that ends before it begins", ["download", "job-1", "mp4", "--range", "5-3"], "--range"],
  ])("refuses %s as JSON on stderr", async (_what, args, field) => {
    const { code, stdout, stderr } = await ran([...args, "--json"]);
    expect([code, stdout]).toEqual([exitCodes.invalid, ""]);
    const { error } = JSON.parse(stderr) as { error: { code: string; fields: { field: string }[]; remedy: string } };
    expect([error.code, error.fields[0]?.field, error.remedy.length > 0]).toEqual(["FIELD_INVALID", field, true]);
    expect(farm.calls).toEqual([]);
  });
});

describe("what a command shows", () => {
  it("fits a terminal of 80 columns, with ages", async () => {
    const { stdout } = await ran(["jobs"], { columns: 80, rows: 24 });
    const [header = "", line = ""] = stdout.split("\n");
    expect(header).toMatch(/^job +state +renders +created/);
    expect(line).toContain("job-1");
    expect(line).toContain("1h ago");
    for (const each of stdout.trimEnd().split("\n")) expect(stringWidth(each)).toBeLessThanOrEqual(80);
  });

  it("is whole and has ISO times in a pipe", async () => {
    const { stdout } = await ran(["jobs"]);
    expect(stdout).toContain("月が昇る and a very long prompt that no terminal of eighty columns has any room for");
    expect(stdout).toContain(created.toISOString());
  });

  it("lists as JSON that names the list", async () => {
    const { stdout } = await ran(["jobs", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ jobs: [{ jobId: "job-1", state: "JOB_STATE_SUCCEEDED" }] });
  });

  it("says why a job waits and what to do", async () => {
    const { stdout } = await ran(["explain", "job-1"]);
    expect(stdout).toContain("workers busy: 2 of 2 are busy\n    what to do: start more");
    expect(stdout).toContain("and 2 more open tasks");
  });

  it("adds usage up", async () => {
    const { stdout } = await ran(["usage", "--by", "tenant,stage"]);
    expect(stdout).toMatch(/^tenant +stage +cost +attempts +device/);
    expect(stdout).toMatch(/^a +denoise +3 +1m1s/m);
    expect(stdout).toMatch(/^total +EUR 1\.25 +3 +1m1s/m);
  });

  it("tells what is spent of a budget, and what an hour costs", async () => {
    expect((await ran(["budgets"])).stdout).toMatch(
      /^tenant +studio-a +EUR 500\.12 +EUR 500\.00 +month +stop +reached +the first quarter/m,
    );
    expect((await ran(["prices"])).stdout).toMatch(/^gpu +EUR 2\.50 +\S+ +ops/m);
  });

  it("waits for a drained worker to be empty", async () => {
    const { code, stdout } = await ran(["workers", "drain", "worker-1", "--wait"]);
    expect([code, stdout, farm.requests("getWorker").length]).toEqual([exitCodes.ok, "worker worker-1 is drained\n", 2]);
  });

  it("downloads what a render made under its name, whole", async () => {
    const { code, stdout } = await ran(["download", "job-1", "--render", "2", "--out", folder, "--json"]);
    expect(code).toBe(exitCodes.ok);
    const { artifacts } = JSON.parse(stdout) as { artifacts: { path: string }[] };
    expect(artifacts.map(({ path }) => path)).toEqual([join(folder, "job-1.2.mp4")]);
    expect((await readFile(join(folder, "job-1.2.mp4"))).equals(bytes)).toBe(true);
  });

  it("again and again until Ctrl-C, which is no failure", async () => {
    const cli = playCli(environment());
    const running = cli.run("farm", "--watch", "--interval", "100ms");
    await cli.printed("farm local");
    cli.interrupt();
    expect(await running).toBe(exitCodes.ok);
  });

  it("redraws in place on a terminal and gives the cursor back", async () => {
    const cli = playCli(environment(), { columns: 80, rows: 24 });
    const running = cli.run("workers", "--watch", "--interval", "100ms");
    await cli.printed("\u001b[2A\r");
    cli.interrupt();
    await running;
    expect(cli.stdout().endsWith("\u001b[?25h")).toBe(true);
  });

  it("names both versions, and no farm is no failure", async () => {
    expect((await ran(["--version"])).stdout).toMatch(/^vapfarm \d+\.\d+\.\d+\nfarm local 9\.9\.9 at /);
    const nobody = await ran(["version", "--address", "127.0.0.1:1"]);
    expect([nobody.code, nobody.stdout.includes("no farm answers")]).toEqual([exitCodes.ok, true]);
  });
});

describe("watching a job of several renders", () => {
  it("tells the end of each", async () => {
    const many = await startScriptedFarm({
      ...answersInOrder(),
      getJob: () => ({ job: scriptedJob({ state: JobState.JOB_STATE_RUNNING }) }),
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream
      async *watchJob() {
        const told = { number: 1n, kind: "render.failed", renderPosition: 4, message: "out of memory" };
        yield { update: { $case: "event", value: JobEvent.create(told) } };
        const end = { number: 2n, kind: "job.failed", jobState: JobState.JOB_STATE_FAILED };
        yield { update: { $case: "event", value: JobEvent.create(end) } };
      },
    });
    const cli = playCli({ ...environment(), VAPFARM_ADDRESS: many.address });
    await cli.run("watch", "job-1");
    await many.stop();
    expect(cli.stderr()).toContain("render 4 failed: out of memory");
  });
});

describe("the files of a job of several renders", () => {
  it("are downloaded once it ended, named by position", async () => {
    const many = await startScriptedFarm({
      ...answersInOrder(),
      getJob: () => ({ job: scriptedJob({ state: JobState.JOB_STATE_FAILED, renderCounts: { total: 3, succeeded: 1, failed: 2 } }) }),
    });
    const code = await playCli({ ...environment(), VAPFARM_ADDRESS: many.address }).run("watch", "job-1", "--out", join(folder, "many"));
    await many.stop();
    expect(code).toBe(exitCodes.failed);
    expect((await readFile(join(folder, "many", "job-1.2.mp4"))).equals(bytes)).toBe(true);
  });
});

describe("contexts", () => {
  it("are made, used and forgotten; their tokens are private", async () => {
    const path = join(folder, "contexts", "config.json");
    const own = (...args: readonly string[]) => {
      const cli = playCli({ VAPFARM_CONFIG: path, VAPFARM_DATA: join(folder, "nothing") });
      return cli.run(...args).then((code) => ({ code, stdout: cli.stdout(), stderr: cli.stderr() }));
    };
    expect((await own("config", "set-context", "here", "--address", farm.address, "--token", "s3cret", "--use")).code).toBe(exitCodes.ok);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await own("workers")).stdout).toContain("worker-1");
    expect((await own("config", "set-context", "away", "--address", "127.0.0.1:1")).code).toBe(exitCodes.ok);
    const away = await own("workers", "--context", "away");
    expect([away.code, away.stderr.includes("context away")]).toEqual([exitCodes.unreachable, true]);
    for (const shown of [await own("config", "view"), await own("config", "view", "--json"), await own("config", "get-contexts")]) {
      expect(shown.stdout).toContain("[redacted]");
      expect(shown.stdout).not.toContain("s3cret");
    }
    expect((await own("config", "use-context", "nowhere")).code).toBe(exitCodes.invalid);
    expect((await own("config", "delete-context", "here")).code).toBe(exitCodes.ok);
    expect((await own("config", "current-context")).code).toBe(exitCodes.invalid);
    expect((await own("workers")).code).toBe(exitCodes.unreachable);
  });

  it("that cannot be understood are an error that says what to do", async () => {
    const path = join(folder, "corrupt.json");
    await writeFile(path, "{");
    const cli = playCli({ VAPFARM_CONFIG: path });
    expect(await cli.run("workers")).toBe(exitCodes.invalid);
    expect(cli.stderr()).toContain(`correct ${path}, or move it away`);
  });
});

describe("an outage while something is watched", () => {
  it("is told and waited out", async () => {
    let asked = 0;
    const flaky = await startScriptedFarm({
      getFarm() {
        asked += 1;
        if (asked === 2) throw new FarmError("DATABASE_UNAVAILABLE");
        return { farm: Farm.create({ name: `answer ${asked}` }) };
      },
    });
    const cli = playCli({ ...environment(), VAPFARM_ADDRESS: flaky.address });
    const running = cli.run("farm", "--watch", "--interval", "100ms");
    await cli.printed("answer 3");
    cli.interrupt();
    expect([await running, cli.stderr().includes("asking again")]).toEqual([exitCodes.ok, true]);
    await flaky.stop();
  });
});
