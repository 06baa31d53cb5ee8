import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compareStore, findOrphans } from "../../../../services/cli/recover/compare-store.ts";
import { outcomeText } from "../../../../services/cli/recover/outcome-text.ts";
import type { RecoverOutcome } from "../../../../services/cli/recover/recover-farm.ts";
import { createMemoryStore } from "../../../support/memory-artifact-store.ts";

const { signal } = new AbortController();

async function storeOf(texts: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-compare-"));
  const store = createMemoryStore();
  const hashes: string[] = [];
  for (const text of texts) {
    const sha256 = createHash("sha256").update(text).digest("hex");
    await writeFile(join(folder, sha256), text);
    await store.put(sha256, join(folder, sha256));
    hashes.push(sha256);
  }
  await rm(folder, { recursive: true });
  return { store, hashes };
}

type Row = { readonly sha256: string; readonly sizeBytes: number };

/** Rows as a database has them, two a page. */
function databaseOf(rows: readonly Row[]) {
  return {
    async *storedArtifacts() {
      for (let at = 0; at < rows.length; at += 2) yield await Promise.resolve(rows.slice(at, at + 2));
    },
    withoutRow: (hashes: readonly string[]) => Promise.resolve(hashes.filter((hash) => !rows.some(({ sha256 }) => sha256 === hash))),
  };
}

describe("comparing the store with the database", () => {
  it("finds what is not there, or has another size, over pages", async () => {
    const { store, hashes } = await storeOf(["one", "two", "three"]);
    const absent = "0".repeat(64);
    const rows = [...hashes.map((sha256) => ({ sha256, sizeBytes: 3 })), { sha256: absent, sizeBytes: 3 }];
    const database = databaseOf(rows);
    expect(await compareStore({ database, store }, signal)).toEqual({ checked: 4, missing: [hashes[2], absent] });
  });

  it("finds what has no row, and says nothing of a store that cannot list", async () => {
    const { store, hashes } = await storeOf(["one", "three"]);
    const database = databaseOf([{ sha256: hashes[0] ?? "", sizeBytes: 3 }]);
    expect(await findOrphans({ database, store }, signal)).toEqual([{ sha256: hashes[1], sizeBytes: 5 }]);
    const mute = { ...store };
    delete mute.list;
    expect(await findOrphans({ database, store: mute }, signal)).toBeUndefined();
  });
});

describe("what recovering says", () => {
  const outcome: RecoverOutcome = {
    isDone: true,
    isRefused: false,
    backend: "folder",
    epoch: 7,
    sessions: 2,
    attempts: 1,
    checked: 10,
    missing: 0,
    checkpoints: 0,
    partialUploads: 0,
    tasksAgain: 0,
    events: 5,
    repaired: 0,
    orphans: { count: 0, bytes: 0, areDeleted: false },
    losses: { uploadCount: 0, uploads: [], resultCount: 0, results: [], modelCount: 0, models: [] },
  };

  it("names the epoch, or that nothing was done", () => {
    expect(outcomeText(outcome)[0]).toBe("recovered: the farm's epoch is 7");
    expect(outcomeText({ ...outcome, isDone: false })[0]).toBe("nothing was changed; with --yes this is done:");
    expect(outcomeText({ ...outcome, isDone: false, isRefused: true })[0]).toMatch(/--yes is refused.*--accept-losses/);
    expect(outcomeText(outcome).join("\n")).not.toMatch(/lost|bug/);
  });

  it("names every loss, and who is hit by it", () => {
    const said = outcomeText({
      ...outcome,
      missing: 2,
      repaired: 1,
      orphans: undefined,
      losses: {
        uploadCount: 1,
        uploads: [{ tenant: "studio", sha256: "ab", jobs: ["job-1"] }],
        resultCount: 1,
        results: [{ job: "job-2", position: 3, artifact: "mp4" }],
        modelCount: 1,
        models: [{ name: "cog", version: "1a2b3c4d5e6f", chunks: 2 }],
      },
    }).join("\n");
    for (const part of ["ab of studio, needed by job-1", "mp4 of render 3 of job job-2", "report this as a bug", "cannot say"]) {
      expect(said).toContain(part);
    }
    expect(said).toMatch(/models push FOLDER --name cog +cog:1a2b3c4d5e6f lacks 2 chunks/);
  });

  it("says before anything is done that deleted objects of a bucket can be brought back", () => {
    const trial = { ...outcome, isDone: false, missing: 1 };
    expect(outcomeText({ ...trial, backend: "s3" }).join("\n")).toContain("delete markers");
    expect(outcomeText(trial).join("\n")).not.toContain("delete markers");
    expect(outcomeText({ ...trial, backend: "s3", isDone: true }).join("\n")).not.toContain("delete markers");
  });
});
