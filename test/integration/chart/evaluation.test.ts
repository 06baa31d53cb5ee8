/**
 * The servers for evaluation: passwords that stay, and a NATS that a real nats-server runs as the chart says.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { findNatsServer } from "../../../services/platform/programs/nats.ts";
import { startCluster } from "../../support/chart/cluster.ts";
import { environmentOf } from "../../support/chart/environment.ts";
import { type KubeObject, ofKind, render, theOne, thePod } from "../../support/chart/objects.ts";
import { leastBut } from "../../support/chart/value-sets.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

const run = promisify(execFile);
const servers = leastBut({
  postgres: { existingSecret: { name: "" }, evaluation: { enabled: true } },
  nats: { url: "", evaluation: { enabled: true, storage: { sizeGiB: 7 } } },
  artifacts: { s3: { bucket: "" }, evaluation: { enabled: true } },
});

type Secret = { readonly stringData: Readonly<Record<string, string>> };

function secretOf(objects: readonly KubeObject[], component: string): Secret & KubeObject {
  return theOne(objects, "Secret", { "app.kubernetes.io/component": component }) as Secret & KubeObject;
}

/** As a cluster keeps it for a release. */
function kept({ stringData, ...secret }: Secret & KubeObject, release: string, namespace: string): KubeObject {
  const data = Object.fromEntries(Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
  const annotations = { ...secret.metadata.annotations, "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace };
  return { ...secret, metadata: { ...secret.metadata, annotations }, data };
}

describe("the passwords of evaluation", () => {
  it("are drawn once: a later release, or a new one over what was kept, finds them again", async () => {
    const first = await render(servers);
    const there = ["postgres", "s3"].map((component) => secretOf(first, component));
    const cluster = await startCluster(
      there.map((secret) => kept(secret, "farm", "render")),
      "render",
    );
    try {
      const again = await render(servers, { kubeconfig: cluster.kubeconfig });
      expect(["postgres", "s3"].map((component) => secretOf(again, component).stringData)).toEqual(
        there.map(({ stringData }) => stringData),
      );
    } finally {
      await cluster.stop();
    }
    const other = await render(servers);
    expect(secretOf(other, "postgres").stringData["password"]).not.toBe(there[0]?.stringData["password"]);
  });

  it("are long, stay when the release goes, and are the ones that the address has", async () => {
    const objects = await render(servers);
    const { metadata, stringData } = secretOf(objects, "postgres");
    expect(stringData["password"]).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(stringData["DATABASE_URL"]).toBe(`postgres://vapfarm:${stringData["password"] ?? ""}@farm-vapfarm-postgres:5432/vapfarm`);
    expect(ofKind(objects, "Secret").map((secret) => secret.metadata.annotations)).toEqual([metadata.annotations, metadata.annotations]);
    expect(metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
  });

  it("can be one's own, and then the chart makes none", async () => {
    const own = { postgres: { evaluation: { existingSecret: "mine" } }, artifacts: { evaluation: { existingSecret: "keys" } } };
    const objects = await render({
      ...servers,
      postgres: { evaluation: { enabled: true, ...own.postgres.evaluation } },
      artifacts: { evaluation: { enabled: true, ...own.artifacts.evaluation } },
    });
    expect(ofKind(objects, "Secret")).toEqual([]);
    const named = ["coordinator", "postgres", "s3"].map((component) =>
      JSON.stringify(thePod(objects, { "app.kubernetes.io/component": component })),
    );
    expect(named.map((text) => [text.includes('"name":"mine"'), text.includes('"name":"keys"')])).toEqual([
      [true, true],
      [true, false],
      [false, true],
    ]);
  });
});

describe("NATS for evaluation", () => {
  it("has a configuration that a real server takes, with the farm's pings and every write on the disk", async () => {
    const objects = await render(servers);
    const { data } = theOne(objects, "ConfigMap", { "app.kubernetes.io/component": "nats" }) as unknown as { data: Record<string, string> };
    const text = data["nats.conf"] ?? "";
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-nats-config-"));
    try {
      const { PATH: searchPath, VAPFARM_NATS_SERVER: configured } = process.env;
      const { path } = await findNatsServer({ configured, cacheFolder: join(projectRoot, ".cache"), searchPath });
      await writeFile(join(folder, "nats.conf"), text);
      await expect(run(path, ["-t", "-c", join(folder, "nats.conf")], { timeout: 20_000 })).resolves.toMatchObject({
        stdout: /is valid|^$/,
      });
      await writeFile(join(folder, "wrong.conf"), text.replace("sync_interval", "sink_interval"));
      await expect(run(path, ["-t", "-c", join(folder, "wrong.conf")], { timeout: 20_000 })).rejects.toThrow(/sink_interval/);
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(text).toMatch(/^ping_interval: "2s"\nping_max: 2$/m);
    expect(text).toMatch(/^ {2}sync_interval: always$/m);
    expect(text).toMatch(/^ {2}max_file_store: 6300MB$/m);
  });

  it("starts anew when its configuration changes", async () => {
    const annotation = async (sizeGiB: number): Promise<unknown> => {
      const objects = await render(leastBut({ nats: { url: "", evaluation: { enabled: true, storage: { sizeGiB } } } }));
      const sets = ofKind(objects, "StatefulSet") as readonly { spec?: { template?: { metadata?: { annotations?: unknown } } } }[];
      return sets[0]?.spec?.template?.metadata?.annotations;
    };
    expect(await annotation(3)).toEqual(await annotation(3));
    expect(await annotation(3)).not.toEqual(await annotation(4));
  });
});

describe("S3 for evaluation", () => {
  it("is where both sides look, at the bucket that its folder is", async () => {
    const objects = await render(servers);
    const environment = environmentOf(thePod(objects, { "app.kubernetes.io/component": "coordinator" }), "coordinator");
    expect(environment).toMatchObject({
      VAPFARM_ARTIFACTS: "s3://vapfarm",
      VAPFARM_ARTIFACTS_S3_ENDPOINT: "http://farm-vapfarm-s3:7070",
      VAPFARM_ARTIFACTS_S3_PATH_STYLE: "1",
    });
    const [bucket] = thePod(objects, { "app.kubernetes.io/component": "s3" }).spec.initContainers ?? [];
    expect(bucket?.command).toContain("/data/buckets/vapfarm");
  });
});

describe("the migration", () => {
  type Job = {
    readonly spec: { readonly template: { readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] } } };
  };
  const jobs = async (values = servers) => ofKind(await render(values), "Job");

  it("is a new Job when what it runs changes, and the same one otherwise", async () => {
    const [first] = await jobs();
    const [same] = await jobs();
    const [other] = await jobs({ ...servers, image: { tag: "0.2.0" } });
    expect(first?.metadata.name).toMatch(/^farm-vapfarm-migration-[0-9a-f]{8}$/);
    expect([same?.metadata.name === first?.metadata.name, other?.metadata.name === first?.metadata.name]).toEqual([true, false]);
  });

  it("is no hook: it waits for its Postgres, and coordinators wait for it", async () => {
    const objects = await render(servers);
    const job = ofKind(objects, "Job")[0] as (Job & KubeObject) | undefined;
    expect(job?.metadata.annotations).toBeUndefined();
    expect(job?.spec.template.spec.containers[0]?.args).toEqual(["migrate", "--wait", "600s"]);
    const { initContainers = [] } = thePod(objects, { "app.kubernetes.io/component": "coordinator" }).spec;
    expect(initContainers[0]?.args).toEqual(["migrate", "--check", "--wait", "600s"]);
  });
});
