import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { readWorkerConfig, runtimeEnvironment, workerSettings } from "../../../services/worker/config.ts";

const least = {
  NATS_URL: "nats://127.0.0.1:4222",
  VAPFARM_WORKER_FOLDER: "/var/lib/w",
  VAPFARM_MODELS: "/models",
  VAPFARM_ARTIFACTS: "folder:/artifacts",
};

describe("the worker's configuration", () => {
  it("needs four settings and fills in the rest", () => {
    expect(readWorkerConfig(least)).toMatchObject({
      farm: "local",
      pool: "default",
      providers: ["cpu"],
      threads: 1,
      outageLimitMs: 600_000,
    });
  });

  it("lists every setting that is wrong", () => {
    const read = (): unknown => readWorkerConfig({ ...least, VAPFARM_POOL: "a.b", VAPFARM_MODELS: "models", VAPFARM_THREADS: "0" });
    expect(read).toThrow(/VAPFARM_POOL.*VAPFARM_MODELS.*VAPFARM_THREADS/);
  });

  it("gives the runtime its providers and threads, and none of the agent's secrets", () => {
    const config = readWorkerConfig({ ...least, VAPFARM_PROVIDERS: "tensorrt, cuda", VAPFARM_THREADS: "3" });
    const environment = runtimeEnvironment(config, { ...least, PATH: "/bin", VAPFARM_MEDIA_MAX_BYTES: "5", NODE_CHANNEL_FD: "3" });
    expect(environment).toMatchObject({
      PATH: "/bin",
      VAPFARM_MEDIA_MAX_BYTES: "5",
      VAPFARM_RUNTIME_PROVIDERS: "tensorrt,cuda",
      VAPFARM_RUNTIME_THREADS: "3",
    });
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(["NATS_URL"]));
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(["VAPFARM_ARTIFACTS"]));
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(["NODE_CHANNEL_FD"]));
  });

  it("keeps where artifacts lie, and the keys to it, from the runtime", () => {
    const given = {
      ...least,
      VAPFARM_ARTIFACTS: "s3://bucket/prefix",
      VAPFARM_ARTIFACTS_S3_ENDPOINT: "http://minio:9000",
      AWS_ACCESS_KEY_ID: "key",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_WEB_IDENTITY_TOKEN_FILE: "/var/run/token",
    };
    const config = readWorkerConfig(given);
    expect(config).toMatchObject({
      artifacts: "s3://bucket/prefix",
      s3: { endpoint: "http://minio:9000", region: undefined, pathStyle: false },
    });
    expect(Object.keys(runtimeEnvironment(config, given)).filter((name) => /AWS|ARTIFACTS/.test(name))).toEqual([]);
  });

  it("has checkpoints every 5 steps or 30 s, within 1 % of a run's time; each may be switched off", () => {
    expect(readWorkerConfig(least).checkpoints).toEqual({ everySteps: 5, everyMs: 30_000, mostShare: 0.01 });
    const off = readWorkerConfig({ ...least, VAPFARM_CHECKPOINT_STEPS: "0", VAPFARM_CHECKPOINT_SECONDS: "0.5" });
    expect(off.checkpoints).toMatchObject({ everySteps: 0, everyMs: 500 });
    expect(() => readWorkerConfig({ ...least, VAPFARM_CHECKPOINT_STEPS: "-1", VAPFARM_CHECKPOINT_SECONDS: "soon" })).toThrow(
      /VAPFARM_CHECKPOINT_STEPS.*VAPFARM_CHECKPOINT_SECONDS/,
    );
  });

  it("is listed whole in SETTINGS.md", async () => {
    const settings = await readFile(new URL("../../../services/worker/SETTINGS.md", import.meta.url), "utf8");
    const listed = [...settings.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, name]) => name);
    expect(listed.toSorted()).toEqual(Object.keys(workerSettings.shape).toSorted());
  });
});
