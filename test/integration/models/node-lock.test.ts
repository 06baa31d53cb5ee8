import { lstat, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LockOptions, takeNodeLock } from "../../../services/cli/models/node-lock.ts";
import type { FarmError } from "../../../services/domain/errors.ts";
import { until } from "../../support/until.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "vapfarm-node-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const signal = new AbortController().signal;
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "OK",
    (thrown: unknown) => (thrown as FarmError).code,
  );

describe("the lock of a node's folder", () => {
  const options: LockOptions = { signal, waitMs: 20_000, onWait: () => undefined, pollMs: 5, heartbeatMs: 20, staleMs: 200 };

  it("is one process's at a time, and its holder is named to those that wait", async () => {
    const first = await takeNodeLock(root, options);
    const waited: number[] = [];
    let isTaken = false;
    const second = takeNodeLock(root, { ...options, onWait: ({ processId }) => void waited.push(processId) }).then((lock) => {
      isTaken = true;
      return lock;
    });
    await until("the second waits", () => Promise.resolve(waited.length > 0));
    expect([isTaken, waited]).toEqual([false, [process.pid]]);
    await first.release();
    await (await second).release();
    expect(first.lost.aborted).toBe(false);
  });

  it("is not waited for longer than allowed", async () => {
    const lock = await takeNodeLock(root, options);
    expect(await codeOf(takeNodeLock(root, { ...options, waitMs: 10 }))).toBe("MODEL_FOLDER_BUSY");
    await lock.release();
  });

  it("is taken by one of many at once, again and again", async () => {
    let holders = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      const lock = await takeNodeLock(root, options);
      holders += 1;
      most = Math.max(most, holders);
      await readdir(root);
      holders -= 1;
      await lock.release();
    };
    await Promise.all(Array.from({ length: 12 }, work));
    expect(most).toBe(1);
    expect((await readdir(join(root, ".lock"))).filter((name) => /^\d+$/.test(name)).length).toBe(1);
  });

  it("of another machine that says nothing any more is taken over, and a holder that comes back learns of it", async () => {
    const lock = await takeNodeLock(root, options);
    const folder = join(root, ".lock");
    const [socket = ""] = (await readdir(folder)).filter((each) => each.endsWith(".sock"));
    const [mark = "", id, since] = socket.split("~");
    await rename(join(folder, socket), join(folder, `${mark}~${id}~${since}~another~elsewhere.sock`));
    // It lives and beats: nobody takes it.
    expect(await codeOf(takeNodeLock(root, { ...options, waitMs: 400 }))).toBe("MODEL_FOLDER_BUSY");
    await symlink(mark, join(folder, "999"));
    const taken = await takeNodeLock(root, options);
    await until("the old holder learns of it", () => Promise.resolve(lock.lost.aborted));
    await lock.release();
    expect(taken.lost.aborted).toBe(false);
    await taken.release();
  });

  it("takes no room on the disk, so that a full one can be freed", async () => {
    const lock = await takeNodeLock(root, options);
    const folder = join(root, ".lock");
    for (const name of await readdir(folder)) {
      const status = await lstat(join(folder, name));
      // A link's target of less than 60 bytes lies in the inode.
      expect([name, status.isFile(), status.size < 60]).toEqual([name, false, true]);
      expect(name.length).toBeLessThan(90);
    }
    await lock.release();
    expect((await readdir(folder)).length).toBe(1);
  });

  it("is let go without a word where its folder is no more", async () => {
    const lock = await takeNodeLock(root, options);
    await rm(join(root, ".lock"), { recursive: true });
    await writeFile(join(root, ".lock"), "");
    await lock.release();
  });
});
