import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { judgeClock, judgeNtp } from "../../../services/cli/doctor/checks/clock.ts";
import { type FarmFindings, judgeFarm } from "../../../services/cli/doctor/checks/farm.ts";
import { judgeInstall } from "../../../services/cli/doctor/checks/install.ts";
import { judgeArtifacts } from "../../../services/cli/doctor/checks/artifacts.ts";
import { judgeDisk, judgeMemory, judgePorts } from "../../../services/cli/doctor/checks/machine.ts";
import { judgeMedia } from "../../../services/cli/doctor/checks/media.ts";
import { judgeModels } from "../../../services/cli/doctor/checks/models.ts";
import { judgeNats } from "../../../services/cli/doctor/checks/nats.ts";
import { judgeNode } from "../../../services/cli/doctor/checks/node.ts";
import { columnsOfSchema, judgePostgres } from "../../../services/cli/doctor/checks/postgres.ts";
import { judgeProviders } from "../../../services/cli/doctor/checks/providers.ts";
import { exitCodeOfVerdicts, fail, ok, skip, type Verdict, warn } from "../../../services/cli/doctor/verdict.ts";
import { Farm } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import type { DatabaseFacts } from "../../../services/platform/database/probe.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

/** `name status`, of all that are not ok. */
const troubles = (verdicts: readonly Verdict[]): readonly string[] =>
  verdicts.filter(({ status }) => status !== "ok").map(({ name, status }) => `${name} ${status}`);

const node = { version: "24.21.0", stripsTypes: true, options: "", platform: "linux x64" };
const install = { locked: { a: "1.0.0" }, installed: { a: "1.0.0", b: "2.0.0" }, newestSource: 1, oldestGenerated: 2 };
const ffmpeg = { path: "/f", version: "7.0.2", source: "wheel" as const };
const disk = { what: "data folder", path: "/d", freeBytes: 100 * 1024 ** 3, refusal: undefined };
const memory = { totalBytes: 16 * 1024 ** 3, freeBytes: 8 * 1024 ** 3, cores: 4 };
const nats = { version: "2.12.1", hasJetStream: true, maxPayloadBytes: 1024 ** 2 };
const models = { folder: "/m", isDeep: false, models: [{ name: "demo", weights: "random", files: 5, faults: [] as string[] }] };
const facts: DatabaseFacts = {
  versionNumber: 180_004,
  settings: { fsync: "on", synchronous_commit: "on", full_page_writes: "on", max_connections: "100", TimeZone: "UTC" },
  time: new Date(0),
  roundTripMs: 1,
  migrations: [{ name: "0001_a", checksum: "aa", isFinished: true }],
  columns: ["job.id", "job.state"],
  connections: 5,
};
const expected = { migrations: new Map([["0001_a", "aa"]]), columns: ["job.id"] };
const postgres = (over: Partial<DatabaseFacts>): readonly Verdict[] => judgePostgres({ ...facts, ...over }, expected);
const setting = (name: string, value: string): readonly Verdict[] => postgres({ settings: { ...facts.settings, [name]: value } });
const farmOf = (over: Parameters<typeof Farm.fromPartial>[0] = {}): Farm =>
  Farm.fromPartial({ name: "studio", version: "0.1.0", pools: [{ name: "cpu", workers: { idle: 1 } }], ...over });
const farm = (over: Partial<FarmFindings>): readonly Verdict[] =>
  judgeFarm({ address: "x:1", ourVersion: "0.1.0", farm: farmOf(), ready: { isReady: true, text: "ready" }, ...over });

describe("what doctor says of", () => {
  it.each<[string, readonly Verdict[], readonly string[]]>([
    ["a good Node", judgeNode(node), []],
    ["an old Node", judgeNode({ ...node, version: "22.1.0" }), ["Node fail"]],
    ["a Node that does not run TypeScript", judgeNode({ ...node, stripsTypes: false }), ["Node fail"]],
    ["a flag that takes TypeScript away", judgeNode({ ...node, options: "--no-strip-types" }), ["Node flags fail"]],
    ["another flag", judgeNode({ ...node, options: "--inspect" }), ["Node flags warn"]],
    ["a good installation", judgeInstall(install), []],
    ["a package of another version", judgeInstall({ ...install, installed: { a: "2.0.0" } }), ["packages fail"]],
    ["a package that is missing", judgeInstall({ ...install, installed: {} }), ["packages fail"]],
    ["a lock that is missing", judgeInstall({ ...install, locked: undefined }), ["packages fail"]],
    ["code that was not generated", judgeInstall({ ...install, oldestGenerated: undefined }), ["generated code fail"]],
    ["generated code that is old", judgeInstall({ ...install, newestSource: 3 }), ["generated code warn"]],
    ["a good ffmpeg", judgeMedia({ ffmpeg, clip: { frames: 32 } }), []],
    ["no ffmpeg", judgeMedia({ ffmpeg: { reason: "none" }, clip: undefined }), ["ffmpeg fail"]],
    ["another ffmpeg", judgeMedia({ ffmpeg: { ...ffmpeg, source: "path" }, clip: { frames: 32 } }), ["ffmpeg warn"]],
    ["an ffmpeg that cannot decode", judgeMedia({ ffmpeg, clip: { reason: "no h264" } }), ["decoding fail"]],
    ["CPU alone", judgeProviders({ present: [], ran: { cpu: undefined } }), ["provider cuda skip", "provider tensorrt skip"]],
    ["a CPU provider that fails", judgeProviders({ present: [], ran: { cpu: "glibc" } }).slice(0, 1), ["provider cpu fail"]],
    ["a CPU provider that says nothing", judgeProviders({ present: [], ran: {} }).slice(0, 1), ["provider cpu fail"]],
    ["CUDA that works", judgeProviders({ present: ["cuda"], ran: { cpu: undefined, cuda: undefined } }), ["provider tensorrt skip"]],
    [
      "CUDA without its libraries",
      judgeProviders({ present: ["cuda"], ran: { cpu: undefined, cuda: "libcudart.so" } }),
      ["provider cuda warn", "provider tensorrt skip"],
    ],
    ["good models", judgeModels(models), []],
    ["a repository that is missing", judgeModels({ ...models, models: { reason: "cannot be read" } }), ["models fail"]],
    ["a repository that is empty", judgeModels({ ...models, models: [] }), ["models warn"]],
    [
      "a damaged model",
      judgeModels({ ...models, models: [{ name: "demo", weights: "trained", files: 5, faults: ["x is missing"] }] }),
      ["model demo fail"],
    ],
    ["a store that answers", judgeArtifacts({ address: "s3://b", probe: { tookMs: 12 } }), []],
    ["a store that is slow", judgeArtifacts({ address: "s3://b", probe: { tookMs: 9_000 } }), ["artifact store warn"]],
    ["a store that fails", judgeArtifacts({ address: "s3://b", probe: { reason: "x", remedy: "y" } }), ["artifact store fail"]],
    ["a good disk", [judgeDisk(disk)], []],
    ["a disk that is getting full", [judgeDisk({ ...disk, freeBytes: 1024 ** 3 })], ["data folder warn"]],
    ["a full disk", [judgeDisk({ ...disk, freeBytes: 1024 })], ["data folder fail"]],
    ["a folder that cannot be written", [judgeDisk({ ...disk, refusal: "EACCES" })], ["data folder fail"]],
    ["enough memory", [judgeMemory(memory)], []],
    ["little memory", [judgeMemory({ ...memory, freeBytes: 1024 ** 3 })], ["memory warn"]],
    ["no memory", [judgeMemory({ ...memory, freeBytes: 1024 ** 2 })], ["memory fail"]],
    ["free ports", [judgePorts(undefined)], []],
    ["no ports", [judgePorts("EADDRNOTAVAIL")], ["ports fail"]],
    ["clocks that agree", [judgeClock("clock", { offsetMs: -1_500, uncertaintyMs: 1 })], []],
    ["clocks that may agree", [judgeClock("clock", { offsetMs: 3_000, uncertaintyMs: 1_500 })], []],
    ["clocks that do not", [judgeClock("clock", { offsetMs: -60_000, uncertaintyMs: 1 })], ["clock warn"]],
    ["a machine without a time server", [judgeNtp(false), judgeNtp(true), judgeNtp(undefined)], ["time server warn", "time server skip"]],
    ["a good NATS", judgeNats(nats), []],
    ["no NATS", judgeNats({ reason: "refused" }), ["NATS fail"]],
    ["an old NATS", judgeNats({ ...nats, version: "2.9.3" }), ["NATS fail"]],
    ["a NATS without JetStream", judgeNats({ ...nats, hasJetStream: false }), ["JetStream fail"]],
    ["a NATS with small messages", judgeNats({ ...nats, maxPayloadBytes: 65_536 }), ["max payload fail"]],
    ["a good Postgres", postgres({}), []],
    ["an old Postgres", postgres({ versionNumber: 140_001 }), ["Postgres fail"]],
    ["fsync off", setting("fsync", "off"), ["fsync warn"]],
    ["commits that do not wait", setting("synchronous_commit", "off"), ["synchronous_commit warn"]],
    ["torn pages", setting("full_page_writes", "off"), ["full_page_writes warn"]],
    ["commits that wait for this machine alone", setting("synchronous_commit", "local"), []],
    ["stricter commits", setting("synchronous_commit", "remote_apply"), []],
    ["few connections", setting("max_connections", "30"), ["max_connections warn"]],
    ["no connections", postgres({ connections: 95 }), ["max_connections fail"]],
    ["a database that is empty", postgres({ migrations: [], columns: [] }), ["migrations fail", "schema drift skip"]],
    ["a migration left half done", postgres({ migrations: [{ name: "0001_a", checksum: "aa", isFinished: false }] }), ["migrations fail"]],
    ["a migration that was edited", postgres({ migrations: [{ name: "0001_a", checksum: "bb", isFinished: true }] }), ["migrations fail"]],
    [
      "a newer release's migration",
      postgres({ migrations: [...facts.migrations, { name: "0002_b", checksum: "c", isFinished: true }] }),
      [],
    ],
    ["a column that somebody dropped", postgres({ columns: [] }), ["schema drift fail"]],
    ["a good farm", farm({}), []],
    ["a farm that does not answer", farm({ farm: { reason: "refused" } }), ["coordinator fail"]],
    ["a neighbouring release", farm({ farm: farmOf({ version: "0.2.0" }) }), ["release warn"]],
    ["a release far away", farm({ farm: farmOf({ version: "3.0.0" }) }), ["release fail"]],
    ["a coordinator that is not ready", farm({ ready: { isReady: false, text: "NATS" } }), ["readiness fail"]],
    ["a farm of another machine", farm({ ready: undefined }), ["readiness skip"]],
    [
      "workers that get nothing",
      farm({ farm: farmOf({ pools: [{ name: "cpu", workers: { idle: 1, busy: 1, cordoned: 1, suspended: 1 } }] }) }),
      ["workers warn"],
    ],
    ["one of two that gets nothing", farm({ farm: farmOf({ pools: [{ name: "cpu", workers: { idle: 2, cordoned: 1 } }] }) }), []],
    ["a farm without workers", farm({ farm: farmOf({ pools: [{ name: "cpu" }] }) }), ["workers warn"]],
    [
      "work that nobody does",
      farm({ farm: farmOf({ pools: [{ name: "gpu", queues: [{ stage: "denoise", ready: 1 }] }] }) }),
      ["workers fail"],
    ],
    ["a hold", farm({ farm: farmOf({ holds: [{ name: "cpu", reason: "new driver" }] }) }), ["holds warn"]],
  ])("%s", (_what, verdicts, expectedTroubles) => {
    expect(troubles(verdicts)).toEqual(expectedTroubles);
    // Whatever is wrong comes with a way to mend it.
    for (const { status, remedy } of verdicts) if (status === "warn" || status === "fail") expect(remedy).not.toBe("");
  });

  it("ends with 1 only when something is wrong", () => {
    expect(exitCodeOfVerdicts([ok("a", ""), warn("b", "", "x"), skip("c", "")])).toBe(0);
    expect(exitCodeOfVerdicts([ok("a", ""), fail("b", "", "x")])).toBe(1);
  });

  it("knows the columns of a Prisma schema, without its relations", async () => {
    const columns = columnsOfSchema(await readFile(join(projectRoot, "prisma/schema.prisma"), "utf8"));
    expect(columns).toEqual(expect.arrayContaining(["job.id", "job.tenant_id", "job.last_event"]));
    expect(columns).not.toContain("job.tenant");
    expect(columns).not.toContain("job.renders");
  });
});
