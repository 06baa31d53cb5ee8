/**
 * The same render through a folder, through S3 (moto: no real S3 was run) and through JetStream: real coordinators and workers, the same bytes.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { layoutOf } from "../../services/cli/data-folder.ts";
import { JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { motoSettings } from "../support/artifact-stores.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { type S3Fault, startS3Proxy } from "../support/fault/s3-proxy.ts";
import { type Moto, motoCredentials, startMoto } from "../support/moto.ts";

let folder: string;
let moto: Moto;
/** Of the folder: what the others are held to. */
let expected: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-stores-"));
  moto = await startMoto();
  await moto.createBucket("farm");
  expected = await withFarm({ backend: "folder" }, ({ artifacts }) => Promise.resolve(artifacts));
});
afterAll(async () => {
  await moto.stop();
  await rm(folder, { recursive: true, force: true });
});

type Rendered = { readonly farm: TestFarm; readonly jobId: string; readonly artifacts: readonly string[] };

type Choice = {
  readonly backend: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

/** A farm of one worker that renders once; results as `name hash`, each downloaded and hashed. */
async function withFarm<T>({ backend, args = [], environment = {} }: Choice, look: (rendered: Rendered) => Promise<T>): Promise<T> {
  const farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1", ...args], environment });
  try {
    const [image, clip] = await Promise.all(
      ["demo/image.png", "demo/clip.mp4"].map((path) => upload(farm.client, join(projectRoot, path))),
    );
    const render = {
      image: { sha256: image?.sha256 ?? "" },
      references: [{ sha256: clip?.sha256 ?? "" }],
      referencePrompts: ["A ball."],
      steps: 6,
      seed: 5n,
      outputs: [OutputKind.OUTPUT_KIND_MP4, OutputKind.OUTPUT_KIND_LATENTS],
    };
    const { job } = await watchUntilEnd(farm.client, (await submit(farm.client, submission(render))).jobId);
    expect([backend, job.state]).toEqual([backend, JobState.JOB_STATE_SUCCEEDED]);
    const artifacts: string[] = [];
    for (const { name, sha256 } of job.artifacts) {
      const path = join(folder, `${backend}-${name}`);
      await farm.client.download({ jobId: job.jobId, name, path });
      expect(sha256Of(await readFile(path))).toBe(sha256);
      artifacts.push(`${name} ${sha256}`);
    }
    return await look({ farm, jobId: job.jobId, artifacts: artifacts.sort() });
  } finally {
    await farm.stop();
  }
}

/** What coordinator and worker counted of the store. */
async function operationsOf(farm: TestFarm): Promise<readonly string[]> {
  const { processes } = await farm.running();
  const texts = await Promise.all(
    processes.flatMap(({ name, httpAddress }) =>
      httpAddress === undefined ? [] : fetch(`http://${httpAddress}/metrics`).then(async (answer) => `${name}\n${await answer.text()}`),
    ),
  );
  return texts.flatMap((text) => {
    const [name = "", ...lines] = text.split("\n");
    return lines.flatMap((line) => {
      if (!line.startsWith("vapfarm_artifact_seconds_count{")) return [];
      const labels = new Map([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = "", value = ""]) => [label, value]));
      return labels.get("code") === "OK" ? [`${name} ${labels.get("operation") ?? ""} ${labels.get("backend") ?? ""}`] : [];
    });
  });
}

describe("a render", { timeout: 180_000 }, () => {
  it("through S3 has the bytes of one through a folder, and its addresses lead to S3", async () => {
    const environment = { ...motoSettings(moto.endpoint), VAPFARM_ARTIFACTS_S3_PRESIGN: "1" };
    await withFarm({ backend: "s3", args: ["--artifacts", "s3://farm/artifacts"], environment }, async ({ farm, jobId, artifacts }) => {
      expect(artifacts).toEqual(expected);
      expect((await moto.keys("farm")).every((key) => /^artifacts\/([0-9a-f]{2})\/\1[0-9a-f]{62}$/.test(key))).toBe(true);
      expect(await moto.openUploads("farm")).toBe(0);
      const operations = await operationsOf(farm);
      for (const each of ["coordinator put s3", "coordinator get s3", "worker-1 put s3", "worker-1 get s3"])
        expect(operations).toContain(each);
      const { url } = await farm.client.calls.getArtifactUrl({ jobId, name: "mp4", renderPosition: 0, lifetimeSeconds: 60 });
      const answer = await fetch(url);
      expect([new URL(url).origin === moto.endpoint, new URL(answer.url).origin === moto.endpoint]).toEqual([false, true]);
      expect(artifacts).toContain(`mp4 ${sha256Of(Buffer.from(await answer.arrayBuffer()))}`);
      await expectNoKeys(farm);
    });
  });

  it("through an S3 that fails every other request has the same bytes", async () => {
    const proxy = await startS3Proxy(moto.port);
    const faults: readonly (S3Fault | undefined)[] = [
      { kind: "status", status: 503, code: "SlowDown" },
      undefined,
      { kind: "lose answer" },
      undefined,
      { kind: "break answer", afterBytes: 1_000 },
      undefined,
      { kind: "break request", afterBytes: 1_000 },
      undefined,
    ];
    proxy.plan(({ number, operation }) => (operation === "other" ? undefined : faults[number % faults.length]));
    try {
      const choice = { backend: "s3", args: ["--artifacts", "s3://farm/faulty"], environment: motoSettings(proxy.endpoint) };
      await withFarm(choice, ({ artifacts }) => Promise.resolve(artifacts));
      expect(await moto.openUploads("farm")).toBe(0);
    } finally {
      await proxy.stop();
    }
  });

  it("through JetStream has the bytes of one through a folder", async () => {
    await withFarm({ backend: "jetstream", args: ["--artifacts", "jetstream:artifacts"] }, async ({ farm, artifacts }) => {
      expect(artifacts).toEqual(expected);
      const operations = await operationsOf(farm);
      for (const each of ["coordinator put jetstream", "worker-1 put jetstream", "worker-1 get jetstream"])
        expect(operations).toContain(each);
    });
  });
});

/** Neither the runtime's environment nor anything that was logged has the secret. */
async function expectNoKeys(farm: TestFarm): Promise<void> {
  const layout = layoutOf(farm.dataFolder);
  const [processId = ""] = (await readFile(join(layout.worker("worker-1"), "runtime.pid"), "utf8")).split(" ");
  expect(await readFile(`/proc/${processId}/environ`, "utf8")).not.toMatch(/AWS_|VAPFARM_ARTIFACTS/);
  const logs = await Promise.all(["coordinator", "worker-1"].map((name) => farm.log(name)));
  expect(logs.join("\n")).not.toContain(motoCredentials.AWS_SECRET_ACCESS_KEY);
}
