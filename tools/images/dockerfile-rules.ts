/**
 * What this project asks of its Dockerfile beyond its grammar: pure.
 */
import type { Dockerfile, PlacedStep, Stage } from "./dockerfile.ts";

/** Stages that are images; the others are only copied from. */
export const images = ["vapfarm", "vapfarm-gpu"] as const;

/** Every fault, with its line. */
export function faultsOf({ args, stages }: Dockerfile): readonly string[] {
  const faults: string[] = [];
  for (const [index, stage] of stages.entries()) {
    const before = stages.slice(0, index).map(({ name }) => name);
    faults.push(...baseFaults(stage, args, before), ...copyFaults(stage, before), ...runFaults(stage));
    if (images.some((name) => name === stage.name)) faults.push(...imageFaults(stage));
  }
  for (const name of images) if (!stages.some((stage) => stage.name === name)) faults.push(`there is no stage ${name}`);
  return faults;
}

/** A base is an argument without a default, and its digest is asked for before anything is built on it. */
function baseFaults({ base, line, steps }: Stage, args: readonly string[], before: readonly string[]): readonly string[] {
  if (before.includes(base)) return [];
  const name = /^\$\{([A-Z_]+)\}$/.exec(base)?.[1];
  if (name === undefined || !args.includes(name)) return [`line ${line}: the base ${base} is neither a stage nor an argument of the file`];
  const asks = steps.some((step) => step.kind === "run" && step.command.includes(`case "\${${name}}" in *@sha256:`));
  const isAskedElsewhere = before.includes("build") && base === "${BASE}";
  return asks || isAskedElsewhere ? [] : [`line ${line}: nothing checks that ${name} is a digest`];
}

function copyFaults({ steps }: Stage, before: readonly string[]): readonly string[] {
  return steps.flatMap((step) =>
    step.kind === "copy" && step.from !== undefined && !before.includes(step.from)
      ? [`line ${step.line}: no stage ${step.from} before`]
      : [],
  );
}

function runFaults({ steps }: Stage): readonly string[] {
  return steps.flatMap((step) => {
    if (step.kind === "arg" && /TOKEN|PASSWORD|SECRET|KEY$/.test(step.name))
      return [`line ${step.line}: ${step.name} would stay in the image's history`];
    if (step.kind !== "run") return [];
    const faults: string[] = [];
    if (/apt-get install/.test(step.command) && !/--no-install-recommends/.test(step.command))
      faults.push("installs what is only recommended");
    if (/apt-get update/.test(step.command) && !/rm -rf \/var\/lib\/apt\/lists/.test(step.command)) faults.push("leaves apt's lists");
    if (/(curl|wget)[^|&;]*\|\s*(ba)?sh/.test(step.command)) faults.push("runs what it fetches");
    if (/sudo |chmod [0-7]*[2367]\b|chmod 777/.test(step.command)) faults.push("gives write access to all");
    return faults.map((fault) => `line ${step.line}: ${fault}`);
  });
}

function imageFaults({ name, line, steps }: Stage): readonly string[] {
  const faults: string[] = [];
  const last = (kind: PlacedStep["kind"]): PlacedStep | undefined => steps.findLast((step) => step.kind === kind);
  const user = last("user");
  if (user?.kind !== "user" || !/^[1-9]\d*:[1-9]\d*$/.test(user.value)) faults.push(`${name} must run as a number that is not root's`);
  for (const kind of ["entrypoint", "cmd", "volume", "label"] as const) if (last(kind) === undefined) faults.push(`${name} has no ${kind}`);
  const after =
    user === undefined ? [] : steps.slice(steps.indexOf(user) + 1).filter(({ kind }) => kind !== "entrypoint" && kind !== "cmd");
  if (after.length > 0) faults.push(`${name} changes the image after its user is set`);
  const entry = last("entrypoint");
  if (entry?.kind === "entrypoint" && !(entry.values[0] ?? "").endsWith("/tini")) faults.push(`${name} has no process 1 that reaps`);
  return faults.map((fault) => `line ${line}: ${fault}`);
}
