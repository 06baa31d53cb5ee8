import { describe, expect, it } from "vitest";
import { createKeeper, type KeeperEvent, type Life, restartDelayMs } from "../../../services/cli/up/keeper.ts";
import { settingsOf } from "../../../services/cli/up/settings.ts";
import {
  coordinatorEnvironment,
  type Foundation,
  plannedWorkers,
  workerEnvironment,
} from "../../../services/cli/up/service-environment.ts";
import { dataFolderOf, defaultDataFolder, layoutOf } from "../../../services/cli/data-folder.ts";
import { FarmError } from "../../../services/domain/errors.ts";

const folders = { projectFolder: "/project", workingFolder: "/here" };

describe("the settings of up", () => {
  it("have defaults for everything", () => {
    expect(settingsOf({}, {}, folders)).toMatchObject({
      dataFolder: undefined,
      isEphemeral: false,
      pools: [{ name: "local", workers: 2 }],
      threads: 1,
      modelsFolder: "/project/models",
      grpcAddress: "127.0.0.1:0",
      httpAddress: "127.0.0.1:0",
      databaseUrl: undefined,
    });
  });

  it("take empty variables for absent ones and resolve folders where the caller stands", () => {
    const settings = settingsOf({ models: "mine" }, { DATABASE_URL: "", VAPFARM_DATA: "data", NATS_URL: "nats://x:1" }, folders);
    expect(settings).toMatchObject({ databaseUrl: undefined, natsUrl: "nats://x:1", dataFolder: "/here/data", modelsFolder: "/here/mine" });
  });

  it("take an artifact store from the command line before that of the environment, and refuse one that cannot be", () => {
    const artifacts = (option: string | undefined, variable: string) =>
      settingsOf(option === undefined ? {} : { artifacts: option }, { VAPFARM_ARTIFACTS: variable }, folders).artifacts;
    expect(artifacts("jetstream:a", "folder:/a")).toBe("jetstream:a");
    expect(artifacts(undefined, "s3://bucket/x")).toBe("s3://bucket/x");
    expect(() => artifacts("bucket", "")).toThrow(/--artifacts .*is no artifact store/);
  });

  it("are refused as a whole, each violation named", () => {
    const start = () =>
      settingsOf({ workers: "0", threads: "x", grpcAddress: "here", httpAddress: "there:", ephemeral: true, data: "d" }, {}, folders);
    expect(start).toThrow(FarmError);
    try {
      start();
    } catch (thrown) {
      const fields = ((thrown as FarmError).details.fields ?? []).map(({ field }) => field);
      expect(fields).toEqual(["--ephemeral", "--workers", "--threads", "--grpc-address", "--http-address"]);
    }
  });
});

describe("the data folder", () => {
  it("is /var/lib/vapfarm for root and below the data home for others", () => {
    expect(defaultDataFolder({}, true)).toBe("/var/lib/vapfarm");
    expect(defaultDataFolder({ XDG_DATA_HOME: "/home/ada/data" }, false)).toBe("/home/ada/data/vapfarm");
    expect(dataFolderOf("/given", { VAPFARM_DATA: "/named" })).toBe("/given");
    expect(dataFolderOf(undefined, { VAPFARM_DATA: "/named" })).toBe("/named");
  });
});

const foundation: Foundation = {
  settings: settingsOf({}, {}, folders),
  layout: layoutOf("/data"),
  databaseUrl: "postgres://secret",
  natsUrl: "nats://n",
  artifacts: "folder:/data/artifacts",
  ffmpegPath: "/bin/ffmpeg",
  profile: "cpu;x",
  callerEnvironment: { VAPFARM_LEASE_MS: "4000", VAPFARM_HTTP_ADDRESS: "0.0.0.0:80", DATABASE_URL: "postgres://theirs" },
};

describe("the pools of up", () => {
  const poolsOf = (pool: readonly string[], workers?: string) =>
    settingsOf({ pool, ...(workers === undefined ? {} : { workers }) }, {}, folders);

  it("have models and workers of their own, or those that are left", () => {
    const { pools } = poolsOf(["cog=demo,other:3", "wan=demo-wan", "rest"], "1");
    expect(pools).toEqual([
      { name: "cog", workers: 3, models: ["demo", "other"] },
      { name: "wan", workers: 1, models: ["demo-wan"] },
      { name: "rest", workers: 1, except: ["demo", "other", "demo-wan"] },
    ]);
  });

  it.each([[["a b"]], [["wan=:2"]], [["wan=x:0"]], [["one", "one"]], [["one", "two"]], [["one=demo", "two=demo"]], [["one=demo,,x"]]])(
    "are refused when they make no sense: %j",
    (pool) => {
      expect(() => poolsOf(pool)).toThrow(/--pool/);
    },
  );

  it("tell the coordinator which models they render, and each worker its own", () => {
    const settings = poolsOf(["cog=demo:2", "wan=demo-wan:1"]);
    const planned = plannedWorkers(settings);
    expect(planned.map(({ name }) => name)).toEqual(["cog-1", "cog-2", "wan-1"]);
    expect(JSON.parse(coordinatorEnvironment({ ...foundation, settings }, undefined)["VAPFARM_POOLS"] ?? "")).toEqual([
      { name: "cog", profile: "cpu;x", models: ["demo"] },
      { name: "wan", profile: "cpu;x", models: ["demo-wan"] },
    ]);
    const [, , wan] = planned;
    if (wan === undefined) expect.unreachable("three workers are planned");
    expect(workerEnvironment(foundation, wan, undefined)).toMatchObject({ VAPFARM_POOL: "wan", VAPFARM_WORKER_MODELS: "demo-wan" });
    const [, rest] = plannedWorkers(poolsOf(["wan=demo-wan", "rest"], "1"));
    if (rest === undefined) expect.unreachable("two workers are planned");
    const environment = workerEnvironment(foundation, rest, undefined);
    expect(environment["VAPFARM_WORKER_MODELS"]).toBeUndefined();
    expect(environment["VAPFARM_WORKER_EXCEPT_MODELS"]).toBe("demo-wan");
  });

  it("are one where none is named, for every model", () => {
    expect(plannedWorkers(settingsOf({ workers: "2" }, {}, folders)).map(({ name }) => name)).toEqual(["worker-1", "worker-2"]);
    expect(coordinatorEnvironment(foundation, undefined)["VAPFARM_POOLS"]).toBe('[{"name":"local","profile":"cpu;x"}]');
  });
});

describe("the environment of a service", () => {
  it("keeps the database from workers", () => {
    const environment = workerEnvironment(foundation, { name: "worker-1", pool: { name: "local", workers: 2 } }, undefined);
    expect(environment["DATABASE_URL"]).toBeUndefined();
    expect(environment).toMatchObject({ VAPFARM_WORKER_NAME: "worker-1", VAPFARM_WORKER_FOLDER: "/data/workers/worker-1" });
  });

  it("gives each service a loopback port of its own, and keeps its addresses when it starts again", () => {
    expect(coordinatorEnvironment(foundation, undefined)["VAPFARM_HTTP_ADDRESS"]).toBe("127.0.0.1:0");
    const again = coordinatorEnvironment(foundation, { grpcAddress: "127.0.0.1:5", httpAddress: "127.0.0.1:6" });
    expect(again).toMatchObject({ VAPFARM_GRPC_ADDRESS: "127.0.0.1:5", VAPFARM_HTTP_ADDRESS: "127.0.0.1:6" });
  });

  it("hands on what the caller set besides", () => {
    expect(coordinatorEnvironment(foundation, undefined)).toMatchObject({ VAPFARM_LEASE_MS: "4000", DATABASE_URL: "postgres://secret" });
  });
});

/** Lives that end when told to. */
function scriptedLives() {
  const lives: { end: (how: string) => void; stopped: boolean }[] = [];
  const previous: (Readonly<Record<string, string>> | undefined)[] = [];
  const begin = (before: Readonly<Record<string, string>> | undefined): Promise<Life> => {
    previous.push(before);
    const ended = Promise.withResolvers<string>();
    const life = { end: ended.resolve, stopped: false };
    lives.push(life);
    const processId = lives.length;
    return Promise.resolve({
      processId,
      facts: { port: String(7000 + processId) },
      ended: ended.promise,
      stop: () => {
        life.stopped = true;
        ended.resolve("SIGTERM");
        return Promise.resolve();
      },
    });
  };
  return { lives, previous, begin };
}

describe("a keeper", () => {
  it("begins another life when one ended unasked, with the facts of the last", async () => {
    const script = scriptedLives();
    const began = Promise.withResolvers<KeeperEvent>();
    const events: KeeperEvent[] = [];
    const onEvent = (event: KeeperEvent): void => {
      events.push(event);
      if (event.kind === "began") began.resolve(event);
    };
    const keeper = createKeeper({ name: "nats", begin: script.begin, onEvent });
    await keeper.start();
    script.lives[0]?.end("SIGKILL");
    await began.promise;
    expect(events[0]).toMatchObject({ kind: "ended", name: "nats", how: "SIGKILL", againInMs: 250 });
    expect(script.previous).toEqual([undefined, { port: "7001" }]);
    expect(keeper.current()?.processId).toBe(2);
    await keeper.stop();
    expect(script.lives.map(({ stopped }) => stopped)).toEqual([false, true]);
  });

  it("begins no life after stop, and may be stopped before it started and twice", async () => {
    const script = scriptedLives();
    const keeper = createKeeper({ name: "nats", begin: script.begin, onEvent: () => undefined });
    await keeper.start();
    script.lives[0]?.end("exit code 1");
    await keeper.stop();
    await keeper.stop();
    expect(script.lives.length).toBe(1);
    const never = createKeeper({ name: "nats", begin: script.begin, onEvent: () => undefined });
    await never.stop();
  });

  it("lets a first start that fails through to whoever started it", async () => {
    const begin = (): Promise<Life> => Promise.reject(new FarmError("PROCESS_START_FAILED"));
    const keeper = createKeeper({ name: "coordinator", begin, onEvent: () => undefined });
    await expect(keeper.start()).rejects.toThrow(FarmError);
    await keeper.stop();
  });

  it("waits longer after each short life, half a minute at most", () => {
    expect([1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([250, 500, 1000, 2000, 30_000]);
  });
});
