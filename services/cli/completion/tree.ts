/**
 * What can stand on the command line, as data: taken from the commander tree, so that completion can never know less than the help.
 *
 * What a value can be is told by its name in the help (`<file>`, `<folder>`, `<job>`): whoever adds an option or argument gets its
 * completion by naming it as the others are named.
 */
import type { Argument, Command, Option } from "commander";
import { schedulerKinds } from "../../domain/render-spec.ts";
import { metricNames } from "../../domain/vbench/metric.ts";

/** What only a farm or the configuration knows; `vapfarm __complete` answers these. */
export const dynamicKinds = ["jobs", "workers", "models", "contexts", "pools", "suites", "runs"] as const;
/** What only the farm or the configuration knows. */
export type DynamicKind = (typeof dynamicKinds)[number];

/** Where a value comes from; `free` is anything that nobody can guess. */
export type ValueSource =
  | { readonly kind: "choices"; readonly values: readonly string[] }
  | { readonly kind: "files" }
  | { readonly kind: "folders" }
  | { readonly kind: "dynamic"; readonly of: DynamicKind }
  | { readonly kind: "free" };

/** An option as the shells see it. */
export type OptionNode = {
  /** As typed, e.g. `--help` and `-h`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined for a switch. */
  readonly value: ValueSource | undefined;
};

/** An operand as the shells see it. */
export type ArgumentNode = { readonly value: ValueSource; readonly isVariadic: boolean };

/** A command as the shells see it. */
export type CommandNode = {
  /** Words after the program's name, e.g. `config use-context`; empty for the program. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionNode[];
  readonly arguments: readonly ArgumentNode[];
  readonly commands: readonly CommandNode[];
};

/** The visible part of a program. */
export function completionTree(program: Command): CommandNode {
  return nodeOf(program, "");
}

/** A tree's commands, each before those below it. */
export function allCommands(tree: CommandNode): readonly CommandNode[] {
  return [tree, ...tree.commands.flatMap(allCommands)];
}

function nodeOf(command: Command, path: string): CommandNode {
  const help = command.createHelp();
  const below = help.visibleCommands(command).filter((each) => !each.name().startsWith("_"));
  return {
    path,
    name: command.name(),
    summary: oneLine(command.summary() || command.description()),
    options: help.visibleOptions(command).map(optionOf),
    arguments: command.registeredArguments.map((argument) => argumentOf(argument, path)),
    commands: below.map((each) => nodeOf(each, `${path} ${each.name()}`.trim())),
  };
}

function optionOf(option: Option): OptionNode {
  const names = [option.long, option.short].filter((name) => typeof name === "string");
  const takesValue = option.required || option.optional;
  const metavar = /[<[]([^\]>]+)[\]>]/.exec(option.flags)?.[1] ?? "";
  const value = takesValue ? sourceOf({ choices: option.argChoices, words: [option.long ?? "", metavar] }) : undefined;
  return { names, description: oneLine(option.description), value };
}

function argumentOf(argument: Argument, path: string): ArgumentNode {
  const name = argument.name();
  // `workers drain NAME`, `hold pool NAME`: what a name is stands in the words before it.
  const words = name === "name" ? [name, ...path.split(" ")] : [name];
  return { value: sourceOf({ choices: argument.argChoices, words }), isVariadic: argument.variadic };
}

const dynamicWords: Readonly<Record<string, DynamicKind>> = {
  job: "jobs",
  worker: "workers",
  workers: "workers",
  model: "models",
  context: "contexts",
  contexts: "contexts",
  "use-context": "contexts",
  "delete-context": "contexts",
  pool: "pools",
  suite: "suites",
  run: "runs",
};

/** What the farm, not the command line, judges, and what is known of it all the same. */
const listed: Readonly<Record<string, readonly string[]>> = {
  scheduler: schedulerKinds,
  "frames-selection": ["evenly", "first"],
  outputs: ["mp4", "latents", "frames"],
  reuse: ["all", "inputs", "none"],
  "job-class": ["production", "benchmark"],
  class: ["production", "benchmark"],
  metrics: [...metricNames, "none"],
  clips: ["worst", "all", "none"],
  state: ["queued", "running", "succeeded", "failed", "cancelled"],
};

function sourceOf({ choices, words }: { readonly choices: readonly string[] | undefined; readonly words: readonly string[] }): ValueSource {
  if (choices !== undefined) return { kind: "choices", values: choices };
  const plain = words.map((word) => word.replace(/^--|\.\.\.$/g, "").toLowerCase());
  const values = plain.map((word) => listed[word]).find((each) => each !== undefined);
  if (values !== undefined) return { kind: "choices", values };
  if (plain.some((word) => /(^|[ -])(folder|directory)$/.test(word))) return { kind: "folders" };
  if (plain.some((word) => /\b(files?|path|media)\b/.test(word) || word === "image" || word === "reference")) return { kind: "files" };
  const known = plain.map((word) => dynamicWords[word]).find((kind) => kind !== undefined);
  return known === undefined ? { kind: "free" } : { kind: "dynamic", of: known };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
