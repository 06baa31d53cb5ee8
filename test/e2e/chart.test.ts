/**
 * The farm as its pods run it: coordinator and worker with the chart's own environment, each writing only to the volumes that its pod has.
 *
 * Node's permission model stands for the read-only root filesystem: it lets a program, and the programs of Node that it starts, write to
 * these folders and nowhere else. What native code writes past it is not seen. Each volume is a temporary folder here.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../services/platform/programs/free-port.ts";
import { cpuProfile, installedOnnxruntimeVersion } from "../../services/platform/profile.ts";
import { environmentOf } from "../support/chart/environment.ts";
import { type KubeObject, type Pod, render, thePod } from "../support/chart/objects.ts";
import { leastBut } from "../support/chart/value-sets.ts";
import { runCli } from "../support/cli.ts";
import { projectRoot, testFfmpegPath } from "../support/ffmpeg.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";
import { startTestPostgres, type TestPostgres } from "../support/postgres.ts";

let folder = "";
let postgres: TestPostgres;
let nats: TestNats;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-pods-"));
  [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats()]);
});
afterAll(async () => {
  await Promise.all([postgres.stop(), nats.stop()]);
  await rm(folder, { recursive: true });
});

type Program = { readonly ready: Promise<Ready>; readonly ended: Promise<number | null>; end(): void; log(): string };
type Ready = { readonly grpcAddress?: string; readonly httpAddress: string };

/** Where a pod's mounts lie here; the models are the project's, artifacts are shared. */
async function placesOf(
  { spec }: Pod,
  name: string,
): Promise<ReadonlyMap<string, { readonly path: string; readonly isWritable: boolean }>> {
  const mounts = spec.containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
  const places = mounts.map(({ mountPath, readOnly }) => {
    const own = mountPath === "/artifacts" ? join(folder, "artifacts") : join(folder, name + mountPath.replaceAll("/", "-"));
    return [mountPath, { path: mountPath === "/models" ? join(projectRoot, "models") : own, isWritable: readOnly !== true }] as const;
  });
  for (const [, { path }] of places) await mkdir(path, { recursive: true });
  return new Map(places);
}

/** The program of a pod, with its environment and what it may write to. */
async function startPod(pod: Pod, name: "coordinator" | "worker", outside: Readonly<Record<string, string>>): Promise<Program> {
  const places = await placesOf(pod, name);
  const environment = Object.entries(environmentOf(pod, name)).map(([variable, value]): [string, string] => {
    const [mount, place] = [...places].find(([path]) => value === path || value === `folder:${path}`) ?? [];
    return [variable, mount === undefined || place === undefined ? value : value.replace(mount, place.path)];
  });
  const writable = [...places.values()].filter(({ isWritable }) => isWritable).map(({ path }) => `--allow-fs-write=${path}`);
  const allowed = ["--permission", "--allow-fs-read=*", "--allow-child-process", "--allow-worker", "--allow-addons", ...writable];
  const child = spawn(process.execPath, [...allowed, join(projectRoot, `services/${name}/main.ts`)], {
    env: {
      PATH: process.env["PATH"],
      ...Object.fromEntries(environment),
      TMPDIR: places.get("/tmp")?.path,
      ...outside,
      VAPFARM_EXIT_WITH_PARENT: "1",
    },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let log = "";
  child.stderr?.on("data", (text: Buffer) => (log += text.toString()));
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const ready = once(child, "message").then(([message]) => message as Ready);
  const early = ended.then((code) => Promise.reject(new TypeError(`${name} ended with ${code ?? "a signal"}: ${log}`)));
  early.catch(() => undefined);
  return { ready: Promise.race([ready, early]), ended, end: () => child.kill("SIGTERM"), log: () => log };
}

async function objectsHere(): Promise<readonly KubeObject[]> {
  const onnxruntimeVersion = installedOnnxruntimeVersion();
  const [, , architecture] = cpuProfile({ threads: 1, onnxruntimeVersion }).split(";");
  const modelRepository = { volume: { hostPath: "", existingClaim: "models" } };
  const cpu = { providers: ["cpu"], architecture, device: { resource: "" }, memoryGiB: 0, modelRepository };
  return render(leastBut({ nats: { url: nats.url }, artifacts: { kind: "folder", s3: { bucket: "" } }, pools: { gpu: cpu } }));
}

it("renders with what its pods may write to, and ends in order", async () => {
  const objects = await objectsHere();
  const [grpc, http, metrics] = [await freePort(), await freePort(), await freePort()];
  const outside = { VAPFARM_FFMPEG: await testFfmpegPath() };
  const coordinator = await startPod(thePod(objects, { "app.kubernetes.io/component": "coordinator" }), "coordinator", {
    ...outside,
    DATABASE_URL: await postgres.createDatabase(),
    VAPFARM_GRPC_ADDRESS: `127.0.0.1:${grpc}`,
    VAPFARM_HTTP_ADDRESS: `127.0.0.1:${http}`,
  });
  const worker = await startPod(thePod(objects, { "app.kubernetes.io/component": "worker" }), "worker", {
    ...outside,
    VAPFARM_HTTP_ADDRESS: `127.0.0.1:${metrics}`,
  });
  await Promise.all([coordinator.ready, worker.ready]);
  const media = ["--image", "demo/image.png", "--reference", "demo/clip.mp4", "--reference-prompt", "A ball.", "--prompt", "A pot."];
  const args = ["render", "--address", `127.0.0.1:${grpc}`, "--model", "demo", ...media, "--steps", "2", "--out", join(folder, "out")];
  const { code, stderr } = await runCli(args);
  expect([code, code === 0 ? "" : `${stderr}\n${coordinator.log()}\n${worker.log()}`]).toEqual([0, ""]);
  const statuses = [http, metrics].map(async (port) => (await fetch(`http://127.0.0.1:${port}/readyz`)).status);
  expect(await Promise.all(statuses)).toEqual([200, 200]);
  worker.end();
  expect(await worker.ended).toBe(0);
  coordinator.end();
  expect(await coordinator.ended).toBe(0);
  expect(`${coordinator.log()}${worker.log()}`).not.toContain("ERR_ACCESS_DENIED");
});

it("would not, were a folder missing among them", async () => {
  const pod = thePod(await objectsHere(), { "app.kubernetes.io/component": "worker" });
  const without = { ...pod, spec: { ...pod.spec, containers: pod.spec.containers.map(withoutFolder) } };
  const worker = await startPod(without, "worker", { VAPFARM_FFMPEG: await testFfmpegPath() });
  await expect(worker.ready).rejects.toThrow(/ERR_ACCESS_DENIED|Access to this API has been restricted/);
});

function withoutFolder(container: Pod["spec"]["containers"][number]): typeof container {
  return { ...container, volumeMounts: (container.volumeMounts ?? []).filter(({ mountPath }) => mountPath !== "/var/lib/vapfarm/worker") };
}
