import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startIdentity } from "../../../services/worker/identity.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-identity-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("a worker's identity", () => {
  it("keeps its id over restarts, and each start has lives above those of the start before", async () => {
    const first = await startIdentity(join(folder, "worker"));
    const second = await startIdentity(join(folder, "worker"));
    expect(first.workerId).toMatch(/^[0-9a-f]{32}$/);
    expect(second.workerId).toBe(first.workerId);
    expect(second.firstLife - first.firstLife).toBeGreaterThan(1_000n);
    expect(await readdir(join(folder, "worker"))).toEqual(["worker-id"]);
  });

  it.each(["", "half an id", "a".repeat(32), `${"a".repeat(32)} -1`])(
    "starts anew, under another id, from the damaged file %j",
    async (text) => {
      await writeFile(join(folder, "worker-id"), text);
      const { workerId, firstLife } = await startIdentity(folder);
      expect(workerId).not.toBe("a".repeat(32));
      expect(firstLife).toBeGreaterThan(0n);
      expect((await startIdentity(folder)).workerId).toBe(workerId);
    },
  );
});
