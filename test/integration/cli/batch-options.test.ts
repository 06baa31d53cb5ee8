import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../../../services/cli/exit-codes.ts";
import { playCli } from "../../support/cli-context.ts";
import { answersInOrder } from "../../support/farm-in-order.ts";
import { type ScriptedFarm, startScriptedFarm } from "../../support/scripted-farm.ts";

let farm: ScriptedFarm;
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-batch-options-"));
  farm = await startScriptedFarm(answersInOrder());
  const render = {
    model: "demo",
    image: "https://m.test/a.png",
    prompt: "p",
    references: [{ media: "https://m.test/c.mp4", prompt: "q" }],
  };
  const webhook = { url: "https://hooks.test/x", secret_file: "secret.txt" };
  await writeFile(join(folder, "batch.json"), JSON.stringify({ renders: [render], webhook }));
});
afterEach(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

async function ran(...options: readonly string[]) {
  const cli = playCli({ VAPFARM_ADDRESS: farm.address, VAPFARM_CONFIG: join(folder, "config.json") });
  const code = await cli.run("render", "--file", join(folder, "batch.json"), ...options);
  return { code, stderr: cli.stderr() };
}

describe("a batch file with a webhook", () => {
  it("sends the secret of the file beside it", async () => {
    await writeFile(join(folder, "secret.txt"), "whsec_c2VjcmV0\n");
    expect((await ran("--detach")).code).toBe(exitCodes.ok);
    expect(farm.requests("submitRenders")).toMatchObject([{ webhook: { url: "https://hooks.test/x", secret: "whsec_c2VjcmV0" } }]);
  });

  it("sends nothing when its secret cannot be read", async () => {
    const { code, stderr } = await ran("--detach");
    expect(code).toBe(exitCodes.invalid);
    expect(stderr).toContain("webhook.secret_file");
    expect(farm.calls).toEqual([]);
  });
});

describe("an option beside --file", () => {
  it.each([
    [["--webhook", "https://h.test"], "`webhook` with `url` and `secret_file`"],
    [["--local"], "instead of --file"],
    [["--threads", "2"], "instead of --file"],
    [["--steps", "2"], "write it into the file"],
  ])("that it cannot have is refused with what to do: %j", async (options, remedy) => {
    const { code, stderr } = await ran(...options);
    expect(code).toBe(exitCodes.invalid);
    expect(stderr).toContain(remedy);
  });
});
