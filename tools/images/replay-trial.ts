/**
 * An image's programs as the Helm chart runs them: by its user, under its process 1, on a root that cannot be written, against a real Postgres
 * and NATS; up to a render.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { connectFarm } from "../../services/client/farm-client.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { JobState, RenderSpec, SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../services/platform/deadline.ts";
import { cpuProfile, installedOnnxruntimeVersion } from "../../services/platform/profile.ts";
import { freePort } from "../../services/platform/programs/free-port.ts";
import { findNatsServer, startNats } from "../../services/platform/programs/nats.ts";
import { startPostgres } from "../../services/platform/programs/postgres.ts";
import { commandIn, type Run, runIn } from "./replay-root.ts";
import type { ImageConfig } from "./replay-steps.ts";

export type Trial = { readonly project: string; readonly work: string; readonly onResult: (text: string) => void };
type Environment = Readonly<Record<string, string>>;
type Stop = () => Promise<void>;

const user = 10001;
const models = "/mnt/models";
const artifacts = "/mnt/artifacts";

/** Tries everything; throws at the first that does not do what it should. */
export async function tryImage(image: ImageConfig, trial: Trial): Promise<void> {
  await trySmall(image, trial);
  const folder = await mkdtemp(join(trial.work, "trial-"));
  await chmod(folder, 0o755);
  const stops: Stop[] = [];
  try {
    await tryFarm(image, { ...trial, folder, stops });
  } finally {
    for (const stop of stops.reverse()) await stop().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

type Given = { readonly environment?: Environment; readonly bound?: Environment };

function runOf(image: ImageConfig, args: readonly string[], { environment = {}, bound = {} }: Given = {}): Run {
  return {
    root: image.root,
    command: [...image.entrypoint, ...(args.length === 0 ? image.cmd : args)],
    environment: { ...image.environment, ...environment },
    folder: image.folder,
    ...(image.user === undefined ? {} : { user: image.user }),
    sealed: { volumes: image.volumes, bound },
    timeoutMs: 120_000,
  };
}

async function trySmall(image: ImageConfig, { onResult }: Trial): Promise<void> {
  const expectEnd = async (what: string, run: Run, expected: { readonly code: number; readonly says: RegExp }): Promise<void> => {
    const { code, output } = await runIn(run);
    if (code !== expected.code || !expected.says.test(output)) throw wrong(`${what}: ended with ${String(code)}: ${output.slice(-1_500)}`);
    onResult(`${what}: ends with ${code}, says ${String(expected.says)}`);
  };
  await expectEnd("no arguments", runOf(image, []), { code: 0, says: /Renders Video-As-Prompt videos/ });
  await expectEnd("version", runOf(image, ["version"]), { code: 0, says: /^vapfarm \d/m });
  await expectEnd("coordinator without settings", runOf(image, ["coordinator"]), { code: 1, says: /CONFIG_INVALID.*DATABASE_URL/ });
  await expectEnd("worker without settings", runOf(image, ["worker"]), { code: 1, says: /CONFIG_INVALID.*NATS_URL/ });
  await expectEnd("migrate without a database", runOf(image, ["migrate"]), { code: 2, says: /CONFIG_INVALID: DATABASE_URL is not set/ });
  const writing = { ...runOf(image, []), command: ["/bin/sh", "-c", "id -u; touch /opt/vapfarm/x"] };
  await expectEnd("writing into the image", writing, { code: 1, says: /^10001\n.*(Read-only file system|Permission denied)/ });
  const libraries = [
    "/opt/vapfarm/node_modules/onnxruntime-node/bin/napi-v6/linux/x64",
    "/opt/vapfarm/node_modules/@img/sharp-linux-x64/lib",
  ];
  for (const folder of libraries) {
    const check = { ...runOf(image, []), command: ["/bin/sh", "/opt/vapfarm/deploy/docker/check-libraries.sh", folder] };
    await expectEnd(`libraries of ${folder}`, check, { code: 0, says: /^$/ });
  }
}

type FarmTrial = Trial & { readonly folder: string; readonly stops: Stop[] };

async function tryFarm(image: ImageConfig, trial: FarmTrial): Promise<void> {
  const { databaseUrl, natsUrl } = await startFoundation(trial);
  const stored = join(trial.folder, "artifacts");
  mkdirSync(stored);
  chownSync(stored, user, user);
  const bound = { [models]: join(trial.project, "models"), [artifacts]: stored };
  const migrated = await runIn(runOf(image, ["migrate"], { environment: { DATABASE_URL: databaseUrl } }));
  if (migrated.code !== 0 || !/^applied 0001/.test(migrated.output)) throw wrong(`migrate: ${migrated.output}`);
  trial.onResult(`migrate: applied ${migrated.output.split(",").length} migrations`);

  const shared = { NATS_URL: natsUrl, VAPFARM_MODELS: models, VAPFARM_ARTIFACTS: `folder:${artifacts}` };
  const [grpc, http, workerHttp] = [await freePort(), await freePort(), await freePort()];
  const profile = cpuProfile({ threads: 1, onnxruntimeVersion: installedOnnxruntimeVersion() });
  const environment = {
    ...shared,
    DATABASE_URL: databaseUrl,
    VAPFARM_POOLS: JSON.stringify([{ name: "local", profile }]),
    VAPFARM_GRPC_ADDRESS: `127.0.0.1:${grpc}`,
    VAPFARM_HTTP_ADDRESS: `127.0.0.1:${http}`,
  };
  const coordinator = startProgram(runOf(image, ["coordinator"], { environment, bound }), trial);
  await ready("coordinator", http, coordinator);
  trial.onResult("coordinator: /readyz answers 200");
  const workers = { ...shared, VAPFARM_POOL: "local", VAPFARM_HTTP_ADDRESS: `127.0.0.1:${workerHttp}` };
  const worker = startProgram(runOf(image, ["worker"], { environment: workers, bound }), trial);
  await ready("worker", workerHttp, worker);
  trial.onResult("worker: /readyz answers 200");
  await tryRender(`127.0.0.1:${grpc}`, trial);
  for (const [name, program] of [["worker", worker] as const, ["coordinator", coordinator] as const]) await tryStop(name, program, trial);
}

async function startFoundation({ project, folder, stops }: FarmTrial): Promise<{ readonly databaseUrl: string; readonly natsUrl: string }> {
  const postgres = await startPostgres({ folder: join(folder, "postgres"), ephemeral: true });
  stops.push(() => postgres.stop());
  const { path } = await findNatsServer({ configured: undefined, cacheFolder: join(project, ".cache"), searchPath: process.env["PATH"] });
  const port = await freePort();
  const nats = await startNats({ program: path, folder: join(folder, "nats"), port, onLog: () => undefined });
  stops.push(() => nats.stop());
  return { databaseUrl: postgres.url, natsUrl: `nats://127.0.0.1:${port}` };
}

type Program = { readonly child: ChildProcess; readonly ended: Promise<number | null>; readonly log: () => string };

function startProgram(run: Run, { stops }: FarmTrial): Program {
  const { program, args } = commandIn(run);
  const child = spawn(program, [...args], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  stops.push(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, ended, log: () => log };
}

async function ready(name: string, port: number, { child, log }: Program): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) break;
    const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    await pause(200);
  }
  throw wrong(`${name} does not get ready: ${log().slice(-2_000)}`);
}

async function tryRender(address: string, { project, onResult }: FarmTrial): Promise<void> {
  const client = connectFarm({ address, origin: "the image's trial" });
  try {
    const [image, clip] = await Promise.all(["demo/image.png", "demo/clip.mp4"].map((path) => client.upload(join(project, path))));
    const render = RenderSpec.create({
      model: "demo",
      prompt: "A pot.",
      image: { sha256: image?.sha256 ?? "" },
      references: [{ sha256: clip?.sha256 ?? "" }],
      referencePrompts: ["A ball."],
      steps: 2,
      seed: 1n,
    });
    const { jobId } = await client.submit(SubmitRenderRequest.create({ render }));
    const began = performance.now();
    let updates = 0;
    for await (const { update } of client.watch(jobId, { signal: AbortSignal.timeout(120_000) })) updates += update === undefined ? 0 : 1;
    const job = await client.getJob(jobId);
    if (job.state !== JobState.JOB_STATE_SUCCEEDED) throw wrong(`the render ended in state ${job.state}: ${job.failure?.message ?? ""}`);
    onResult(`render: ${job.tasks.length} tasks, ${updates} updates in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  } finally {
    client.close();
  }
}

/** SIGTERM to the image's process 1, as a kubelet sends it. */
async function tryStop(name: string, { child, ended, log }: Program, { onResult }: FarmTrial): Promise<void> {
  const [first] = childrenOf(child.pid ?? 0);
  if (first === undefined) throw wrong(`${name} has no process 1`);
  const zombies = childrenOf(first).filter((id) => stateOf(id) === "Z").length;
  const began = performance.now();
  process.kill(first, "SIGTERM");
  const code = await ended;
  if (code !== 0 || zombies > 0) throw wrong(`${name} ended with ${String(code)} and left ${zombies} zombies: ${log().slice(-1_500)}`);
  onResult(`${name}: SIGTERM ends it with 0 in ${((performance.now() - began) / 1000).toFixed(1)} s; no zombies`);
}

function childrenOf(processId: number): readonly number[] {
  const threads = readdirSync(`/proc/${processId}/task`);
  return threads.flatMap((thread) =>
    readFileSync(`/proc/${processId}/task/${thread}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
}

const stateOf = (processId: number): string => /\) (\w)/.exec(readFileSync(`/proc/${processId}/stat`, "utf8"))?.[1] ?? "";

function wrong(message: string): FarmError {
  return new FarmError("PROCESS_START_FAILED", { message });
}
