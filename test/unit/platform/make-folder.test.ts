import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeFolder } from "../../../services/platform/make-folder.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-folder-"));
});
afterEach(() => rm(folder, { recursive: true }));

it("makes what is missing, and says from where on", async () => {
  expect(await makeFolder(join(folder, "a/b/c"))).toBe(join(folder, "a"));
  expect((await stat(join(folder, "a/b/c"))).isDirectory()).toBe(true);
  expect(await makeFolder(join(folder, "a/b"))).toBeUndefined();
  expect(await makeFolder(join(folder, "a/d"))).toBe(join(folder, "a/d"));
});

it("fails where a file is in the way, and where the system makes none", async () => {
  await writeFile(join(folder, "file"), "");
  await expect(makeFolder(join(folder, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeFolder(join(folder, "file/a"))).rejects.toMatchObject({ code: "ENOTDIR" });
  await expect(makeFolder("/proc/vapfarm/a")).rejects.toMatchObject({ code: "ENOENT" });
});
