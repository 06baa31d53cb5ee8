import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backUp, type BackupRequest, type BackupStep } from "../../../../services/cli/backup/back-up.ts";
import { readBackupNote } from "../../../../services/cli/backup/backup-note.ts";
import { mendSwap } from "../../../../services/cli/backup/swap-database.ts";
import { layoutOf } from "../../../../services/cli/data-folder.ts";
import { FarmError } from "../../../../services/domain/errors.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-backup-"));
});
afterEach(() => rm(folder, { recursive: true }));

const pathIn = (artifacts: string, text: string): string => {
  const sha256 = createHash("sha256").update(text).digest("hex");
  return join(artifacts, sha256.slice(0, 2), sha256);
};

/** A farm's artifact, and a stand-in for its database that promises it. */
async function makeArtifact(text: string): Promise<void> {
  const path = pathIn(join(folder, "data", "artifacts"), text);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
}

const copying = (text: string) => async (target: string) => {
  await mkdir(target);
  await writeFile(join(target, "promised"), text);
  return text.length;
};

const broken = new FarmError("BACKUP_FAILED", { message: "broken off" });

function request(text: string, change: Partial<BackupRequest> = {}): BackupRequest {
  return {
    copyDatabase: copying(text),
    layout: layoutOf(join(folder, "data")),
    to: join(folder, "backup"),
    artifactsAt: undefined,
    release: "1.0.0",
    now: new Date(),
    signal: new AbortController().signal,
    onStep: () => undefined,
    ...change,
  };
}

const breakingAt = (step: BackupStep): Partial<BackupRequest> => ({
  onStep: (taken) => {
    if (taken === step) throw broken;
  },
});

const breaks: readonly (readonly [string, Partial<BackupRequest>, string])[] = [
  ["before the database is copied", breakingAt("database"), "first"],
  [
    "in the middle of the database",
    {
      copyDatabase: async (target) => {
        await copying("half")(target);
        throw broken;
      },
    },
    "first",
  ],
  ["before artifacts are copied", breakingAt("artifacts"), "first"],
  ["while artifacts are copied", { signal: AbortSignal.abort(broken) }, "first"],
  ["before the database of before is set aside", breakingAt("set aside"), "first"],
  ["between the renames", breakingAt("swap"), "first"],
  ["before the database of before goes", breakingAt("tidy"), "second"],
  ["before the new note", breakingAt("note"), "second"],
];

/** As it is restored: copied, then claimed by `vapfarm recover`. Returns what the database promises, whose artifact is there. */
async function restored(): Promise<string> {
  const layout = layoutOf(join(folder, "restored"));
  await cp(join(folder, "backup"), layout.folder, { recursive: true });
  expect(await readBackupNote(layout)).toMatchObject({ isWhole: true });
  await mendSwap(layout);
  const promised = await readFile(join(layout.postgres, "promised"), "utf8");
  expect(await readFile(pathIn(layout.artifacts, promised), "utf8")).toBe(promised);
  expect((await readdir(layout.folder)).sort()).toEqual(["artifacts", "backup.json", "postgres"]);
  return promised;
}

describe("a second backup into the same folder", () => {
  for (const [when, change, left] of breaks) {
    it(`that breaks off ${when} leaves one that can be restored, and a later one ends whole`, async () => {
      await makeArtifact("first");
      await backUp(request("first"));
      await makeArtifact("second");
      await expect(backUp(request("second", change))).rejects.toMatchObject({ code: "BACKUP_FAILED" });
      expect(await restored()).toBe(left);
      await rm(join(folder, "restored"), { recursive: true });
      await makeArtifact("third");
      expect(await backUp(request("third"))).toMatchObject({ isWhole: true, artifacts: 3 });
      expect(await restored()).toBe("third");
    });
  }
});

it("a first backup that breaks off is marked as not whole", async () => {
  await makeArtifact("first");
  await expect(backUp(request("first", breakingAt("artifacts")))).rejects.toMatchObject({ code: "BACKUP_FAILED" });
  expect(await readBackupNote(layoutOf(join(folder, "backup")))).toMatchObject({ isWhole: false });
});

describe("a backup is refused, and nothing is written,", () => {
  const refused = async (to: string, words: RegExp): Promise<void> => {
    await expect(backUp(request("first", { to }))).rejects.toMatchObject({
      code: "FIELD_INVALID",
      details: { fields: [{ field: "--to", reason: expect.stringMatching(words) as string }] },
    });
  };

  beforeEach(() => makeArtifact("first"));

  it("where it goes to a link to the data folder, or into that", async () => {
    await symlink(join(folder, "data"), join(folder, "link"));
    await refused(join(folder, "link"), /is the data folder itself/);
    await refused(join(folder, "data", "backup"), /lies in the data folder/);
    await refused(join(folder, "link", "deep", "backup"), /lies in the data folder/);
    expect(await readdir(join(folder, "data"))).toEqual(["artifacts"]);
  });

  it("where another farm, or something else, is", async () => {
    await mkdir(join(folder, "other", "postgres"), { recursive: true });
    await refused(join(folder, "other"), /holds something else than a backup: postgres/);
    expect(await readdir(join(folder, "other"))).toEqual(["postgres"]);
    await writeFile(join(folder, "file"), "");
    await refused(join(folder, "file"), /is no folder/);
    await refused(join(folder, "file", "below"), /ENOTDIR/);
    await refused("/proc/vapfarm", /cannot be made/);
  });

  it("while another is under way there, which ends whole", async () => {
    const second: Promise<unknown>[] = [];
    const onStep = (step: BackupStep): void => {
      if (step === "artifacts") second.push(backUp(request("second")).catch((thrown: unknown) => thrown));
    };
    expect(await backUp({ ...request("first"), onStep })).toMatchObject({ isWhole: true });
    expect(await Promise.all(second)).toMatchObject([{ code: "PROCESS_START_FAILED" }]);
    expect(await restored()).toBe("first");
  });
});

it("of a farm whose artifacts are elsewhere says so, and copies none", async () => {
  await makeArtifact("first");
  const backup = await backUp(request("first", { artifactsAt: "s3://bucket/farm" }));
  expect(backup).toMatchObject({ isWhole: true, artifacts: 0, artifactsAt: "s3://bucket/farm" });
  expect(await readBackupNote(layoutOf(join(folder, "backup")))).toMatchObject({ artifactsAt: "s3://bucket/farm" });
});

it("leaves no half of a database where it broke off", async () => {
  await makeArtifact("first");
  await expect(backUp(request("first", breakingAt("artifacts")))).rejects.toMatchObject({ code: "BACKUP_FAILED" });
  expect((await readdir(join(folder, "backup"))).sort()).toEqual(["artifacts", "backup.json"]);
});
