import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../services/platform/programs/ffmpeg.ts";
import { binaryFromWheel } from "../../../services/platform/programs/wheel.ts";
import { testFfmpegPath } from "../../support/ffmpeg.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-programs-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const find = (configured: string) => findFfmpeg({ configured, cacheFolder: folder, searchPath: undefined });

async function program(name: string, output: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\necho '${output}'\n`);
  await chmod(path, 0o755);
  return path;
}

describe("findFfmpeg", () => {
  it("takes the configured one and says its version", async () => {
    const path = await testFfmpegPath();
    await expect(find(path)).resolves.toMatchObject({ path, source: "configured", version: expect.stringMatching(/^n?[5-9]/) as string });
  });

  it("tries nothing else when the configured one is missing, too old or something else", async () => {
    const missing = { code: "FFMPEG_MISSING" };
    await expect(find(join(folder, "nothing"))).rejects.toMatchObject(missing);
    await expect(find(await program("old", "ffmpeg version 4.4.1"))).rejects.toMatchObject(missing);
    await expect(find(await program("other", "hello"))).rejects.toMatchObject(missing);
  });
});

describe("binaryFromWheel", () => {
  it("refuses a platform for which no build is pinned", async () => {
    const wheel = { package: "imageio-ffmpeg", version: "0.6.0", builds: {} };
    await expect(binaryFromWheel(wheel, { cacheFolder: folder })).rejects.toMatchObject({ code: "DOWNLOAD_FAILED" });
  });
});
