/**
 * Replays deploy/docker/Dockerfile in plain folders: `node tools/images/replay.ts WORK [--suite bookworm] [--keep]`, as root, with a network.
 *
 * For machines without a container engine: every step that needs no CUDA base is done as an engine would (stages, COPY with .dockerignore, RUN
 * in a root of its own), on a minimal Debian in place of the base image; then the image is looked through and its programs are
 * tried. What is not run is printed as such. It shows that the steps work, not that an engine's image is the same byte for byte.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { bytesText } from "../../services/domain/bytes-text.ts";
import { toFarmError } from "../../services/domain/errors.ts";
import { contextFilter } from "./build-context.ts";
import { faultsOf } from "./dockerfile-rules.ts";
import { parseDockerfile, type PlacedStep, type Stage } from "./dockerfile.ts";
import { faultsIn, sizesOf } from "./replay-look.ts";
import { copyRoot, makeBase } from "./replay-root.ts";
import { type ImageConfig, replayStage } from "./replay-steps.ts";
import { tryImage } from "./replay-trial.ts";

const project = join(import.meta.dirname, "../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { suite: { type: "string", default: "bookworm" }, keep: { type: "boolean", default: false } },
});
const [given = ""] = positionals;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Stages on a base that cannot be had here, and what needs their files. */
const notRun: ReadonlyMap<string, string> = new Map([
  ["providers", "needs the NuGet feed and checksums that its builder names"],
  ["vapfarm-gpu", "needs a CUDA base image and NVIDIA's package source"],
]);

async function main(): Promise<number> {
  if (given === "" || process.getuid?.() !== 0) {
    say("usage, as root: node tools/images/replay.ts WORK [--suite bookworm] [--keep]");
    return 2;
  }
  const work = resolve(given);
  await mkdir(work, { recursive: true });
  const dockerfile = parseDockerfile(await readFile(join(project, "deploy/docker/Dockerfile"), "utf8"));
  const faults = faultsOf(dockerfile);
  for (const fault of faults) say(`FAULT  Dockerfile ${fault}`);
  say(`ran    lint: ${dockerfile.stages.length} stages, ${faults.length} faults`);
  const image = await replay(dockerfile.stages, work);
  const found = await faultsIn(image);
  for (const fault of found) say(`FAULT  image: ${fault}`);
  say(`ran    search for what must not be in it: ${found.length} found`);
  const sizes = await sizesOf(image);
  for (const [what, bytes] of sizes) say(`size   ${what}: ${bytesText(bytes)}`);
  say(`size   together: ${bytesText(sizes.reduce((sum, [, bytes]) => sum + bytes, 0))}`);
  await tryImage(image, { project, work, onResult: (text) => say(`ran    ${text}`) });
  if (!values.keep) for (const { name } of dockerfile.stages) await rm(join(work, `stage-${name}`), { recursive: true, force: true });
  return faults.length + found.length === 0 ? 0 : 1;
}

/** Does what can be done; returns the image `vapfarm`. */
async function replay(stages: readonly Stage[], work: string): Promise<ImageConfig> {
  const base = await makeBase(work, values.suite);
  const packages = createHash("sha256")
    .update(await readFile(join(base, "var/lib/dpkg/status")))
    .digest("hex");
  say(`ran    base: debootstrap ${values.suite}, minbase, in place of \${BASE}`);
  const args = { BASE: `debootstrap-${values.suite}@sha256:${packages}`, VERSION: "replay", REVISION: "replay" };
  const isInContext = contextFilter(await readFile(join(project, ".dockerignore"), "utf8"));
  const roots = new Map<string, string>();
  let image: ImageConfig | undefined;
  for (const stage of stages) {
    const reason = notRun.get(stage.name);
    if (reason !== undefined) {
      say(`NOT    stage ${stage.name}: ${stage.steps.length} steps were not run: ${reason}`);
      continue;
    }
    const root = join(work, `stage-${stage.name}`);
    await copyRoot(base, root);
    const onStep = (step: PlacedStep, seconds: number): void =>
      say(`ran    ${stage.name} line ${step.line} ${step.kind}: ${seconds.toFixed(1)} s`);
    const config = await replayStage(stage, root, { project, isInContext, roots, args, onStep });
    roots.set(stage.name, root);
    if (stage.name === "vapfarm") image = config;
  }
  if (image === undefined) throw new TypeError("there is no stage vapfarm");
  return image;
}

process.exitCode = await main().catch((thrown: unknown) => {
  say(`FAILED ${toFarmError(thrown).message}`);
  return 1;
});
