/**
 * The steps of a stage, done in a plain folder.
 */
import { statSync } from "node:fs";
import { cp, mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { FarmError } from "../../services/domain/errors.ts";
import { type PlacedStep, type Stage, substitute } from "./dockerfile.ts";
import { mustRun, runIn } from "./replay-root.ts";

/** What an engine would keep of an image beside its files. */
export type ImageConfig = {
  readonly root: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly user: string | undefined;
  readonly volumes: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
};

export type StepContext = {
  readonly project: string;
  readonly isInContext: (path: string) => boolean;
  /** Roots of the stages before. */
  readonly roots: ReadonlyMap<string, string>;
  readonly args: Readonly<Record<string, string>>;
  readonly onStep: (step: PlacedStep, seconds: number) => void;
};

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Does a stage's steps in its root, one after another; throws at the first that fails. */
export async function replayStage(stage: Stage, root: string, context: StepContext): Promise<ImageConfig> {
  let config: ImageConfig = {
    root,
    environment: { PATH: defaultPath },
    folder: "/",
    user: undefined,
    volumes: [],
    entrypoint: [],
    cmd: [],
  };
  let args: Readonly<Record<string, string>> = {};
  for (const step of stage.steps) {
    const began = performance.now();
    if (step.kind === "arg") args = { ...args, [step.name]: context.args[step.name] ?? "" };
    config = await replayStep(step, config, { ...context, args });
    context.onStep(step, (performance.now() - began) / 1000);
  }
  return config;
}

async function replayStep(step: PlacedStep, config: ImageConfig, context: StepContext): Promise<ImageConfig> {
  switch (step.kind) {
    case "arg":
    case "label":
    case "expose":
      return config;
    case "run":
      await run(step.command, config, context);
      return config;
    case "copy":
      await copy(step, config, context);
      return config;
    case "env":
      return { ...config, environment: { ...config.environment, ...substituted(step.values, context.args) } };
    case "workdir":
      await mkdir(join(config.root, step.value), { recursive: true });
      return { ...config, folder: step.value };
    case "user":
      return { ...config, user: step.value };
    case "volume":
      return { ...config, volumes: step.values };
    case "entrypoint":
      return { ...config, entrypoint: step.values };
    case "cmd":
      return { ...config, cmd: step.values };
  }
}

function substituted(values: Readonly<Record<string, string>>, args: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, substitute(value, args)]));
}

async function run(command: string, { root, environment, folder, user }: ImageConfig, { args }: StepContext): Promise<void> {
  const identity = user === undefined ? {} : { user };
  const end = await runIn({ root, command: ["/bin/sh", "-c", command], environment: { ...environment, ...args }, folder, ...identity });
  if (end.code === 0) return;
  throw new FarmError("PROCESS_START_FAILED", { message: `RUN ended with ${String(end.code)}: ${end.output.slice(-3_000)}` });
}

type Copy = Extract<PlacedStep, { readonly kind: "copy" }>;

/** A folder's content goes into the target, a file becomes it, or goes into one that ends with "/". */
async function copy(step: Copy, { root, folder }: ImageConfig, { project, isInContext, roots }: StepContext): Promise<void> {
  const from = step.from === undefined ? project : roots.get(step.from);
  if (from === undefined) throw new TypeError(`no stage ${String(step.from)}`);
  const target = join(root, resolve(folder, step.target));
  for (const source of step.sources) {
    const path = join(from, source);
    const isFolder = statSync(path).isDirectory();
    const to = isFolder || !step.target.endsWith("/") ? target : join(target, basename(source));
    if (step.from === undefined) await copyContext({ project, isInContext }, source, to);
    else if (isFolder) await copyTree(path, to);
    else {
      await mkdir(dirname(to), { recursive: true });
      await mustRun("cp", ["-a", path, to]);
    }
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await mustRun("cp", ["-a", `${from}/.`, to]);
}

async function copyContext(
  { project, isInContext }: Pick<StepContext, "project" | "isInContext">,
  source: string,
  to: string,
): Promise<void> {
  if (!isInContext(source)) throw new TypeError(`${source} is not in the build context`);
  if (!statSync(join(project, source)).isDirectory()) {
    await mkdir(dirname(to), { recursive: true });
    await cp(join(project, source), to);
    return;
  }
  await mkdir(to, { recursive: true });
  for (const name of await readdir(join(project, source))) {
    const path = join(source, name);
    if (isInContext(path)) await copyContext({ project, isInContext }, path, join(to, name));
  }
}
