/**
 * An upload whose bytes are gone from the store before anything was made of it: nobody can make them again, so what needs it fails for good.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect } from "vitest";
import type { FarmClient } from "../../../services/client/farm-client.ts";
import { RenderSpec, type SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { FaultFarm } from "./farm.ts";
import { submitPatiently } from "./renders.ts";

/** Uploads an image, submits the request with it, and takes its bytes away before a worker can have them; the job's id. */
export async function submitWithLostInput(
  farm: Pick<FaultFarm, "artifactsFolder">,
  client: FarmClient,
  request: SubmitRenderRequest,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-lost-"));
  try {
    const path = join(folder, "image.png");
    await sharp({ create: { width: 64, height: 48, channels: 3, background: "#7a1f5c" } })
      .png()
      .toFile(path);
    const { sha256 } = await client.upload(path);
    const stored = (await readdir(farm.artifactsFolder, { recursive: true })).find((name) => name.endsWith(sha256));
    await rm(join(farm.artifactsFolder, stored ?? expect.fail("the upload is not stored")));
    const render = request.render ?? expect.fail("no render");
    return await submitPatiently(client, { ...request, render: RenderSpec.create({ ...render, image: { sha256 } }) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
