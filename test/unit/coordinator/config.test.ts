import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { coordinatorSchema, readCoordinatorConfig } from "../../../services/coordinator/config.ts";
import { apiAddress } from "../../../services/coordinator/kube/settings.ts";
import { defaultPreemption } from "../../../services/domain/preemption.ts";
import { createCallerLookup, requireRole } from "../../../services/coordinator/rpc/caller.ts";

const least = {
  DATABASE_URL: "postgres://user:password@127.0.0.1/farm",
  NATS_URL: "nats://127.0.0.1:4222",
  VAPFARM_MODELS: "/models",
  VAPFARM_ARTIFACTS: "folder:/artifacts",
  VAPFARM_STATE_FOLDER: "/state",
  VAPFARM_POOLS: '[{"name":"cpu","profile":"cpu;x"}]',
};
const callers = '[{"token":"0123456789abcdef","tenant":"one","role":"member"}]';

describe("the coordinator's settings", () => {
  it("are the table in its SETTINGS.md", () => {
    const table = readFileSync(new URL("../../../services/coordinator/SETTINGS.md", import.meta.url), "utf8");
    const documented = [...table.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map((match) => match[1]);
    expect(documented).toEqual(Object.keys(coordinatorSchema.shape));
  });

  it("have defaults for all but what nobody can guess", () => {
    expect(readCoordinatorConfig(least)).toMatchObject({
      VAPFARM_FARM: "local",
      VAPFARM_LEASE_MS: 15_000,
      VAPFARM_POOLS: [{ name: "cpu", profile: "cpu;x" }],
    });
  });

  it("name every wrong one, and print no secret", () => {
    const read = () => readCoordinatorConfig({ ...least, VAPFARM_POOLS: "[]", VAPFARM_LEASE_MS: "0", VAPFARM_FARM: "a.b" });
    expect(read).toThrow(/VAPFARM_FARM.*VAPFARM_POOLS.*VAPFARM_LEASE_MS/);
    expect(JSON.stringify(readCoordinatorConfig({ ...least, VAPFARM_CALLERS: callers }))).not.toMatch(/password|0123456789abcdef/);
  });

  it("allow no outside address until told so, and no plain http without saying that it may lead inside", () => {
    expect(readCoordinatorConfig(least)).toMatchObject({ VAPFARM_MEDIA_SOURCES: [], VAPFARM_UPLOADS: 64 });
    expect(readCoordinatorConfig(least).VAPFARM_WEBHOOK_TARGETS).toBeUndefined();
    const http = '[{"prefix":"http://hooks.local:8080/","privateAddresses":true}]';
    expect(readCoordinatorConfig({ ...least, VAPFARM_WEBHOOK_TARGETS: http }).VAPFARM_WEBHOOK_TARGETS).toHaveLength(1);
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_MEDIA_SOURCES: http })).toThrow(/VAPFARM_MEDIA_SOURCES/);
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_PUBLIC_URL: "https://farm.example/path" })).toThrow(/VAPFARM_PUBLIC_URL/);
  });

  it("take a floor for each class, of which all together are no more than the whole", () => {
    const floors = (text: string) => readCoordinatorConfig({ ...least, VAPFARM_CLASS_FLOORS: text }).VAPFARM_CLASS_FLOORS;
    expect(readCoordinatorConfig(least).VAPFARM_CLASS_FLOORS).toEqual({ production: 0, benchmark: 0.1 });
    expect(floors('{"benchmark":0.25}')).toEqual({ production: 0, benchmark: 0.25 });
    for (const wrong of ['{"production":0.6,"benchmark":0.6}', '{"benchmark":-1}', '{"bench":0.1}', "0.1"]) {
      expect(() => floors(wrong)).toThrow(/VAPFARM_CLASS_FLOORS/);
    }
  });

  it("say of preemption what is not as by default, and nothing that there is not", () => {
    const read = (json: string) => readCoordinatorConfig({ ...least, VAPFARM_PREEMPTION: json }).VAPFARM_PREEMPTION;
    expect(readCoordinatorConfig(least).VAPFARM_PREEMPTION).toEqual(defaultPreemption);
    expect(read('{"minRunMs":5,"deadlines":true}')).toEqual({ ...defaultPreemption, minRunMs: 5, deadlines: true });
    for (const wrong of ['{"minRun":5}', '{"lastShare":2}', '{"priorityMargin":0}', "{", '{"graceMs":-1}'])
      expect(() => read(wrong)).toThrow(/VAPFARM_PREEMPTION/);
  });

  it("say of scaling what is not as by default, and nothing of pools that there are not", () => {
    const pools = '[{"name":"a","profile":"x"},{"name":"b","profile":"x","models":["m"]}]';
    const read = (scaling: object) =>
      readCoordinatorConfig({ ...least, VAPFARM_POOLS: pools, VAPFARM_SCALING: JSON.stringify(scaling) }).VAPFARM_SCALING;
    const usual = { min: 0, max: 3, targetWaitMs: 120_000, downAfterMs: 300_000, idleMs: 600_000, loadMs: 120_000, probeMs: 3_600_000 };
    expect(readCoordinatorConfig(least).VAPFARM_SCALING).toBeUndefined();
    expect(read({ pools: [{ name: "a", max: 3 }] })).toEqual({
      watchNodes: true,
      unknownTaskMs: 30_000,
      pools: [{ name: "a", rule: usual, target: undefined }],
    });
    expect(read({ namespace: "farm", pools: [{ name: "b", object: "w", kind: "StatefulSet", min: 1, max: 3 }] })?.pools).toEqual([
      { name: "b", rule: { ...usual, min: 1 }, target: { kind: "StatefulSet", name: "w" } },
    ]);
    const wrong = [
      { pools: [{ name: "a" }] },
      { pools: [{ name: "c", max: 3 }] },
      { pools: [{ name: "a", max: 3, object: "w" }] },
      { pools: [{ name: "a", max: 3, min: 4 }] },
      {
        pools: [
          { name: "a", max: 3 },
          { name: "a", max: 3 },
        ],
      },
      { pools: [{ name: "a", max: 3, surprise: 1 }] },
      { namespace: "Not A Name", pools: [{ name: "a", max: 3 }] },
    ];
    for (const scaling of wrong) expect(() => read(scaling)).toThrow(/VAPFARM_SCALING/);
  });

  it("find the Kubernetes API where every pod does, unless told otherwise", () => {
    expect(apiAddress({ KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" })).toBe("https://10.0.0.1:443");
    expect(apiAddress({ KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" })).toBe("https://[fd00::1]:443");
    expect(apiAddress({ VAPFARM_KUBE_API: "https://api:6443", KUBERNETES_SERVICE_HOST: "x" })).toBe("https://api:6443");
    expect(() => apiAddress({})).toThrow(/this is no pod/);
  });

  it("refuse a low mark of artifacts above the high one, or without one", () => {
    const low = (settings: Readonly<Record<string, string>>) => () => readCoordinatorConfig({ ...least, ...settings });
    expect(low({ VAPFARM_ARTIFACT_BYTES: "9", VAPFARM_ARTIFACT_BYTES_LOW: "9" })).not.toThrow();
    expect(low({ VAPFARM_ARTIFACT_BYTES: "9", VAPFARM_ARTIFACT_BYTES_LOW: "10" })).toThrow(/VAPFARM_ARTIFACT_BYTES_LOW/);
    expect(low({ VAPFARM_ARTIFACT_BYTES_LOW: "10" })).toThrow(/VAPFARM_ARTIFACT_BYTES_LOW/);
  });

  it("give presigned addresses of S3 only", () => {
    const presigning = (artifacts: string) => () =>
      readCoordinatorConfig({ ...least, VAPFARM_ARTIFACTS: artifacts, VAPFARM_ARTIFACTS_S3_PRESIGN: "1" });
    expect(presigning("s3://bucket/prefix")).not.toThrow();
    expect(presigning("folder:/artifacts")).toThrow(/VAPFARM_ARTIFACTS_S3_PRESIGN: needs artifacts on S3/);
  });

  it("refuse pools of one name and short tokens", () => {
    const pools = '[{"name":"a","profile":"x"},{"name":"a","profile":"y"}]';
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_POOLS: pools })).toThrow(/distinct/);
    const shared = '[{"name":"a","profile":"x","models":["m"]},{"name":"b","profile":"x","models":["n","m"]}]';
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_POOLS: shared })).toThrow(/one pool only/);
    const open = '[{"name":"a","profile":"x"},{"name":"b","profile":"x"}]';
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_POOLS: open })).toThrow(/models that are left/);
    const short = '[{"token":"short","tenant":"one","role":"member"}]';
    expect(() => readCoordinatorConfig({ ...least, VAPFARM_CALLERS: short })).toThrow(/16 characters/);
  });
});

describe("callers", () => {
  it("are local/admin when none are configured", () => {
    expect(createCallerLookup(undefined)(undefined)).toEqual({ tenant: "local", role: "admin" });
  });

  it("are told by their token, and unknown ones are refused", () => {
    const lookup = createCallerLookup(readCoordinatorConfig({ ...least, VAPFARM_CALLERS: callers }).VAPFARM_CALLERS);
    expect(lookup("Bearer 0123456789abcdef")).toEqual({ tenant: "one", role: "member" });
    for (const header of [undefined, "", "0123456789abcdef", "Bearer ", "Bearer 0123456789abcdeX"]) {
      expect(() => lookup(header)).toThrow(expect.objectContaining({ code: "CALLER_UNKNOWN" }) as Error);
    }
  });

  it("may do what their role and those below it may", () => {
    expect(() => requireRole({ tenant: "one", role: "admin" }, "member")).not.toThrow();
    expect(() => requireRole({ tenant: "one", role: "reader" }, "member")).toThrow(
      expect.objectContaining({ code: "CALLER_NOT_ALLOWED" }) as Error,
    );
  });
});
