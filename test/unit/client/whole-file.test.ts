import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeWhole } from "../../../services/client/whole-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-whole-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (path: string) => writeWhole(path, (file) => file.writeFile("new"));

describe("a file that appears whole", () => {
  it("is written into folders that are made for it, and replaces a file or a link", async () => {
    await write(join(folder, "a/b/c.txt"));
    expect(await readFile(join(folder, "a/b/c.txt"), "utf8")).toBe("new");
    await writeFile(join(folder, "old"), "old");
    await symlink(join(folder, "old"), join(folder, "link"));
    await write(join(folder, "old"));
    await write(join(folder, "link"));
    expect(await readFile(join(folder, "link"), "utf8")).toBe("new");
    expect((await readdir(folder)).toSorted()).toEqual(["a", "link", "old"]);
  });

  it("never takes the place of what is no file", async () => {
    const path = join(folder, "socket");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(write(path)).rejects.toMatchObject({ code: "FIELD_INVALID", message: `${path} cannot be written (it is no file)` });
    await expect(write(folder)).rejects.toMatchObject({ message: `${folder} cannot be written (it is a folder)` });
    expect(await readdir(folder)).toEqual(["socket"]);
    await new Promise((resolve) => server.close(resolve));
  });

  it("is refused at once where no folder can be made", async () => {
    await expect(write("/proc/vapfarm/a/b")).rejects.toMatchObject({ code: "FIELD_INVALID" });
  });

  it("is refused below a file", async () => {
    await writeFile(join(folder, "file"), "old");
    await expect(write(join(folder, "file/inner"))).rejects.toMatchObject({ code: "FIELD_INVALID" });
  });

  it("leaves nothing when filling it fails", async () => {
    const failing = writeWhole(join(folder, "a"), () => Promise.reject(new TypeError("no")));
    await expect(failing).rejects.toThrow("no");
    expect(await readdir(folder)).toEqual([]);
  });
});
