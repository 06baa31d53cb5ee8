/**
 * Traces of a whole farm at a local OTLP receiver: clients, two coordinators, NATS, two workers and their runtimes, real programs all; and the
 * log lines that go with them.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SubmitRendersRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { traceparentOf } from "../../services/platform/tracing/trace-context.ts";
import { traceIdOf } from "../../services/platform/tracing/trace-ids.ts";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { attemptsOf } from "../support/fault/renders.ts";
import { runCli } from "../support/cli.ts";
import { until } from "../support/until.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { orphansOf, outlastingOf, traceOf, untimelyOf, wholeTrace } from "../support/trace-tree.ts";

const receiver = await startOtlpReceiver();
// After the farm has ended: hooks run in reverse.
afterAll(() => receiver.stop());
const scene = useScene({ environment: { VAPFARM_OTLP_ENDPOINT: receiver.url } });

const caller = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", isSampled: true };

type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

async function logLines(...programs: readonly string[]): Promise<readonly LogLine[]> {
  const texts = await Promise.all(programs.map((name) => scene().farm.log(name)));
  return texts.flatMap((text) => text.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as LogLine] : [])));
}

describe("a render whose caller traces", () => {
  it(
    "is one trace, from the caller's span down to what the device did",
    async () => {
      const { coordinator, request, expectSucceeded } = scene();
      const { client } = coordinator(0);
      const { jobId } = await client.submit(request(4), { traceparent: traceparentOf(caller) });
      await expectSucceeded(jobId);
      const trace = await wholeTrace(receiver, caller.traceId, [caller.spanId]);
      expect(trace.pathOf(trace.one("run denoise"))).toEqual([
        "FarmService/SubmitRender",
        "submit",
        "render",
        "attempt denoise",
        "compute",
        "run denoise",
      ]);
      expect(trace.one("FarmService/SubmitRender").parentSpanId).toBe(caller.spanId);
      const denoise = trace.one("attempt denoise");
      expect(new Set(trace.childrenOf(denoise).map(({ name }) => name))).toEqual(new Set(["fetch", "slot", "compute", "store", "report"]));
      const report = trace.childrenOf(denoise).find(({ name }) => name === "report");
      expect(trace.spans.filter(({ parentSpanId }) => parentSpanId === report?.spanId).map(({ name }) => name)).toEqual(["commit"]);
      const run = trace.one("run denoise");
      expect(trace.childrenOf(run).map(({ name }) => name)).toEqual(
        expect.arrayContaining(["wait slot", "start", "denoise", "write outputs"]),
      );
      expect(trace.one("denoise").events.filter(({ name }) => name === "step")).toHaveLength(4);
      expect(orphansOf(trace, [caller.spanId])).toEqual([]);
      expect(untimelyOf(trace)).toEqual([]);
      expect(outlastingOf(trace, /^(render|attempt |compute|run )/).filter((name) => name !== "report")).toEqual([]);
    },
    timeoutMs,
  );

  it("says of each span what it is about, by whom, and nothing of what was asked for", () => {
    const trace = traceOf(receiver, caller.traceId);
    const jobId = trace.one("render").attributes["vapfarm.job"];
    expect(trace.one("render")).toMatchObject({
      service: "vapfarm-coordinator",
      attributes: { "vapfarm.render": 0, "vapfarm.model": "demo", "vapfarm.pool": "local", "vapfarm.state": "succeeded" },
    });
    const attempt = trace.one("attempt denoise");
    expect(attempt.attributes).toMatchObject({ "vapfarm.job": jobId, "vapfarm.stage": "denoise", "vapfarm.attempt.number": 1 });
    expect(attempt.attributes["vapfarm.worker"]).toMatch(/^worker-[12]$/);
    expect(attempt.attributes["vapfarm.device_ms"]).toBeGreaterThan(0);
    const id = attempt.attributes["vapfarm.attempt"];
    const below = trace.spans.filter((span) => span.attributes["vapfarm.attempt"] === id).map(({ name, service }) => `${service} ${name}`);
    expect(below).toEqual(
      expect.arrayContaining(["vapfarm-worker fetch", "vapfarm-worker compute", "vapfarm-worker report", "vapfarm-runtime run denoise"]),
    );
    const said = JSON.stringify(trace.spans.map(({ attributes, events, name, error }) => ({ attributes, events, name, error })));
    for (const secret of ["inflate", "inflates", "postgres:", "nats:", "/vapfarm-fault-"]) expect(said).not.toContain(secret);
  });
});

describe("a render whose caller does not", () => {
  it(
    "has a trace of its own, by its job, and goes on in it when its worker is killed",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const running = await disturbed();
      await worker(running.worker).program.kill();
      await expectSucceeded(running.jobId);
      await worker(running.worker).program.start();
      const trace = await wholeTrace(receiver, traceIdOf(running.jobId, 0), undefined);
      const attempts = trace.named("attempt denoise").toSorted((left, right) => Number(left.startNanos - right.startNanos));
      const rows = (await attemptsOf(farm, running.jobId)).map(({ id, state }) => [id, state]);
      expect(attempts.map(({ attributes }) => [attributes["vapfarm.attempt"], attributes["vapfarm.state"]])).toEqual(rows);
      expect(rows.map(([, state]) => state)).toContain("lost");
      expect(attempts[0]).toMatchObject({ error: "LEASE_LAPSED", parentSpanId: trace.one("render").spanId });
      expect(trace.named("wait denoise").length).toBeGreaterThan(0);
      expect(trace.one("render").parentSpanId).toBe(trace.one("submit").spanId);
      expect(orphansOf(trace)).toEqual([]);
      expect(untimelyOf(trace)).toEqual([]);
    },
    timeoutMs,
  );
});

describe("a batch", () => {
  it(
    "is a trace for each render, linked to the submit, and to the work that another of them did",
    async () => {
      const { coordinator, request, expectSucceeded } = scene();
      const renders = [request(2), request(2), request(2)].flatMap(({ render }) => (render === undefined ? [] : [render]));
      const parent = { ...caller, traceId: "1bf7651916cd43dd8448eb211c80319c" };
      const batch = SubmitRendersRequest.create({ renders, idempotencyKey: "a traced batch" });
      const { job } = await coordinator(1).client.submitMany(batch, { traceparent: traceparentOf(parent) });
      const jobId = job?.jobId ?? expect.fail("nothing was stored");
      await expectSucceeded(jobId);
      const traces = await Promise.all([0, 1, 2].map((position) => wholeTrace(receiver, traceIdOf(jobId, position))));
      const submit = traceOf(receiver, parent.traceId).one("submit");
      for (const [position, trace] of traces.entries()) {
        const whole = trace.one("render");
        expect(whole).toMatchObject({ parentSpanId: "", attributes: { "vapfarm.job": jobId, "vapfarm.render": position } });
        expect(whole.links).toEqual([{ traceId: parent.traceId, spanId: submit.spanId }]);
        // What a busy worker had claimed ahead is taken back for one that has nothing to do.
        const ends = trace.named("attempt denoise").map(({ attributes }) => attributes["vapfarm.state"]);
        expect(ends.filter((state) => state !== "abandoned")).toEqual(["succeeded"]);
        expect(untimelyOf(trace)).toEqual([]);
      }
      const [reuse] = traces[2]?.named("reuse text_encode") ?? [];
      const [link] = reuse?.links ?? [];
      const linked = receiver.spans.find(({ spanId }) => spanId === link?.spanId);
      expect(linked).toMatchObject({ name: "attempt text_encode", traceId: link?.traceId });
    },
    timeoutMs,
  );
});

describe("the command line and HTTP", () => {
  it(
    "begin a trace, or go on in their caller's",
    async () => {
      const { coordinator } = scene();
      const { grpcAddress = "", httpAddress = "" } = coordinator(0).program.facts;
      const folder = await mkdtemp(join(tmpdir(), "vapfarm-traced-"));
      const what = ["--image", "demo/image.png", "--reference", "demo/clip.mp4", "--reference-prompt", "A disc.", "--prompt", "A ball."];
      const args = ["render", "--address", grpcAddress, "--model", "demo", ...what, "--steps", "2", "--out", folder];
      const { code, stderr } = await runCli(args, { VAPFARM_OTLP_ENDPOINT: receiver.url });
      await rm(folder, { recursive: true });
      expect(code).toBe(0);
      const [, traceId = ""] = /, trace ([\da-f]{32})/.exec(stderr) ?? [];
      // The coordinator tells of calls when they have ended, after the command's last word.
      const last = ["FarmService/WatchJob", "FarmService/DownloadArtifact"];
      await until("its last calls are told", () => last.every((name) => traceOf(receiver, traceId).named(name).length > 0));
      const trace = await wholeTrace(receiver, traceId);
      const [whole, call, submit] = trace.pathOf(trace.one("attempt denoise"));
      expect([whole, call, submit]).toEqual(["vapfarm render", "FarmService/SubmitRender", "submit"]);
      expect(trace.one("vapfarm render")).toMatchObject({ parentSpanId: "", service: "vapfarm-cli", error: "" });
      expect(outlastingOf(trace, /^vapfarm render$/)).toEqual([]);
      const names = trace.childrenOf(trace.one("vapfarm render")).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(last));

      const parent = { ...caller, traceId: "2cf7651916cd43dd8448eb211c80319c" };
      await runCli(["jobs", "--address", grpcAddress], { TRACEPARENT: traceparentOf(parent) });
      await fetch(`http://${httpAddress}/v1/farm`, { headers: { traceparent: traceparentOf(parent) } });
      await until("both calls are told", () => traceOf(receiver, parent.traceId).spans.length === 2);
      const calls = traceOf(receiver, parent.traceId).spans;
      expect(calls.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
        ["FarmService/ListJobs", parent.spanId],
        ["FarmService/GetFarm", parent.spanId],
      ]);
    },
    timeoutMs,
  );
});

describe("a receiver that hangs", () => {
  it(
    "holds up no render; what it does not take is counted",
    async () => {
      const { farm, submit, expectSucceeded } = scene();
      receiver.behave("hang");
      const jobId = await submit(4);
      await expectSucceeded(jobId);
      const addresses = [...farm.coordinators, ...farm.workers].map(({ program }) => program.facts["httpAddress"] ?? "");
      await until("dropped spans are counted", async () => {
        const pages = await Promise.all(addresses.map(async (address) => (await fetch(`http://${address}/metrics`)).text()));
        return (
          pages.every((page) => /^vapfarm_spans_dropped_total\S* \d/m.test(page)) &&
          pages.some((page) => /^vapfarm_spans_dropped_total\S* [1-9]/m.test(page))
        );
      });
      receiver.behave("take");
    },
    timeoutMs,
  );
});

describe("log lines about an attempt", () => {
  it("carry its trace, job, task and attempt, in agents, runtimes and coordinators", async () => {
    const lines = await logLines("coordinator-1", "coordinator-2", "worker-1", "worker-2");
    const about = lines.filter((line) => "attemptId" in line || "runId" in line);
    expect(about.map(({ msg }) => msg)).toEqual(expect.arrayContaining(["claimed", "done"]));
    const forms = { traceId: /^[\da-f]{32}$/, jobId: /^[\da-f-]{36}$/, taskId: /^\d+$/, attemptId: /^[\da-f-]{36}$/ };
    const lacking = about.filter((line) => !Object.entries(forms).every(([name, form]) => form.test(String(line[name]))));
    expect(lacking).toEqual([]);
    const ofCaller = about.filter(({ traceId }) => traceId === caller.traceId);
    expect(new Set(ofCaller.map(({ jobId }) => jobId))).toEqual(
      new Set([traceOf(receiver, caller.traceId).one("render").attributes["vapfarm.job"]]),
    );
  });
});
