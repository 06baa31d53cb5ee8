/**
 * buf's guard over the protos: what was released stays as it is. The guard itself is run by `make lint`; here it is shown to bite.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { projectRoot } from "../../support/ffmpeg.ts";

const run = promisify(execFile);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-protos-"));
  for (const name of ["proto", "buf.yaml"]) await cp(join(projectRoot, name), join(folder, name), { recursive: true });
  await symlink(join(projectRoot, "node_modules"), join(folder, "node_modules"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function breaking(file: string, change: (text: string) => string): Promise<string> {
  const path = join(folder, "proto/vapfarm/v1", file);
  const text = await readFile(path, "utf8");
  const changed = change(text);
  expect(changed === text && change !== unchanged).toBe(false);
  await writeFile(path, changed);
  const buf = join(projectRoot, "node_modules/.bin/buf");
  const options = { cwd: folder, timeout: 60_000 };
  const { stdout } = await run(buf, ["breaking", "proto", "--against", "proto/released.binpb"], options).catch((thrown: unknown) => thrown as { readonly stdout: string }); // prettier-ignore
  return stdout;
}

const unchanged = (text: string): string => text;

describe("the guard over released protos", () => {
  test("lets them stand as they are", async () => {
    expect(await breaking("farm.proto", unchanged)).toBe("");
  });

  test.each([
    { what: "a field that is gone", file: "farm.proto", from: /\n {2}string prompt = 3;/, to: "", found: /field "3" with name "prompt"/ },
    { what: "a field of another type", file: "farm.proto", from: "int32 priority = 5;", to: "int64 priority = 5;", found: /changed type/ },
    { what: "a method that is gone", file: "farm.proto", from: /\n {2}rpc GetFarm[^}]*}[^}]*}/, to: "", found: /RPC "GetFarm"/ },
    { what: "a value that is gone", file: "operator.proto", from: "  USAGE_KEY_DAY = 5;\n", to: "", found: /enum value "5"/ },
  ])("names $what", async ({ file, from, to, found }) => {
    expect(await breaking(file, (text) => text.replace(from, to))).toMatch(found);
  });
});
