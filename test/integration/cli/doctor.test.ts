import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Verdict } from "../../../services/cli/doctor/verdict.ts";
import { openPool } from "../../../services/platform/database/pool.ts";
import { motoSettings } from "../../support/artifact-stores.ts";
import { motoCredentials } from "../../support/moto.ts";
import { runCli } from "../../support/cli.ts";
import { startTestNats, type TestNats } from "../../support/nats.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-doctor-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Report = { readonly checks: readonly Verdict[]; readonly summary: Readonly<Record<string, number>> };
const doctor = async (args: readonly string[], environment = {}): Promise<Report & { readonly code: number | null }> => {
  const { code, stdout } = await runCli(["doctor", "--json", ...args], { VAPFARM_DATA: folder, XDG_CONFIG_HOME: folder, ...environment });
  return { code, ...(JSON.parse(stdout) as Report) };
};
const statusOf = ({ checks }: Report, name: string): string | undefined => checks.find((check) => check.name === name)?.status;

describe("vapfarm doctor without a farm", () => {
  it("finds this machine sound, hashes included, and says what it skipped", async () => {
    const { code, checks } = await doctor(["--deep"]);
    expect(checks.filter(({ status }) => status === "fail")).toEqual([]);
    expect(code).toBe(0);
    for (const name of ["NATS", "Postgres", "farm"]) expect(checks).toContainEqual(expect.objectContaining({ name, status: "skip" }));
    expect(checks).toContainEqual(expect.objectContaining({ name: "model demo", found: expect.stringContaining("hashes") as string }));
    expect(checks).toContainEqual(expect.objectContaining({ name: "provider cpu", status: "ok" }));
  });

  it("fails on what it was told to look at and cannot reach, and on a damaged model", async () => {
    const model = join(folder, "models/broken");
    await mkdir(model, { recursive: true });
    await writeFile(join(model, "farm.json"), "{}");
    const { code, checks } = await doctor(["--models", join(folder, "models"), "--address", "127.0.0.1:1"], {
      DATABASE_URL: "postgres://x@127.0.0.1:1/x",
      NATS_URL: "nats://127.0.0.1:1",
      VAPFARM_FFMPEG: "/bin/true",
    });
    expect(code).toBe(1);
    const failed = checks.filter(({ status }) => status === "fail").map(({ name }) => name);
    expect(failed).toEqual(["ffmpeg", "models", "NATS", "Postgres", "coordinator"]);
  });
});

describe("vapfarm doctor with Postgres and NATS", () => {
  let postgres: TestPostgres;
  let nats: TestNats;
  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats()]);
  });
  afterAll(async () => {
    await Promise.all([postgres.stop(), nats.stop()]);
  });

  it("tells a migrated database whose fsync is off, and NATS with JetStream", async () => {
    const report = await doctor([], { DATABASE_URL: await postgres.createDatabase(), NATS_URL: nats.url });
    for (const name of ["Postgres", "migrations", "schema drift", "clock of Postgres", "NATS", "JetStream", "max payload"]) {
      expect([name, statusOf(report, name)]).toEqual([name, "ok"]);
    }
    expect(statusOf(report, "fsync")).toBe("warn");
    expect(report.code).toBe(0);
  });

  it("puts, reads and deletes a probe in an artifact store that is no folder, and says what is wrong with one", async () => {
    const good = await doctor([], { NATS_URL: nats.url, VAPFARM_ARTIFACTS: "jetstream:probed" });
    expect([statusOf(good, "artifact store"), good.code]).toEqual(["ok", 0]);
    const settings = { ...motoSettings("http://127.0.0.1:1"), VAPFARM_ARTIFACTS: "s3://bucket" };
    const bad = await doctor([], settings);
    expect(bad.checks).toContainEqual(
      expect.objectContaining({ name: "artifact store", status: "fail", found: expect.stringContaining("ECONNREFUSED") as string }),
    );
    expect(JSON.stringify(bad)).not.toContain(motoCredentials.AWS_SECRET_ACCESS_KEY);
    const none = await doctor([], { VAPFARM_ARTIFACTS: "bucket" });
    expect(none.checks).toContainEqual(
      expect.objectContaining({ name: "artifact store", status: "fail", found: expect.stringContaining("is no artifact store") as string }),
    );
  });

  it("tells an empty database, and a column that somebody dropped", async () => {
    const empty = await doctor([], { DATABASE_URL: await postgres.createEmptyDatabase() });
    expect([empty.code, statusOf(empty, "migrations")]).toEqual([1, "fail"]);
    const url = await postgres.createDatabase();
    const pool = openPool({ url, applicationName: "test", connections: 1 });
    await pool.query("alter table tenant drop column created_at cascade");
    await pool.end();
    const drifted = await doctor([], { DATABASE_URL: url });
    expect(drifted.checks).toContainEqual(
      expect.objectContaining({ name: "schema drift", status: "fail", found: expect.stringContaining("tenant.created_at") as string }),
    );
  });
});
