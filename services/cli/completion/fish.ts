/**
 * The completion script for fish 3 and newer: one `complete` line per command and option.
 */
import { allCommands, type ArgumentNode, type CommandNode, type OptionNode, type ValueSource } from "./tree.ts";

/** Prints the command that stands on the line so far; a word that is none ends it. */
function pathFunction(tree: CommandNode): string {
  const paths = allCommands(tree).flatMap(({ path }) => (path === "" ? [] : [path]));
  const withValue = new Set(
    allCommands(tree).flatMap(({ options }) => options.flatMap(({ names, value }) => (value === undefined ? [] : names))),
  );
  return [
    "function __vapfarm_path",
    "  set -l path ''",
    "  set -l skip 0",
    "  for word in (commandline -opc)[2..-1]",
    "    if test $skip = 1; set skip 0; continue; end",
    `    if contains -- $word ${[...withValue].map(fishQuoted).join(" ")}; set skip 1; continue; end`,
    "    string match -q -- '-*' $word; and continue",
    '    set -l next (string trim -- "$path $word")',
    `    if contains -- $next ${paths.map(fishQuoted).join(" ")}; set path $next; end`,
    "  end",
    "  echo $path",
    "end",
    "function __vapfarm_at",
    '  test (__vapfarm_path) = "$argv"',
    "end",
    "function __vapfarm_dynamic",
    "  set -l line (commandline -opc)",
    "  $line[1] __complete $argv[1] $line[2..-1] 2>/dev/null",
    "end",
  ].join("\n");
}

/** The script. */
export function fishScript(tree: CommandNode): string {
  const lines = allCommands(tree).flatMap(linesOf);
  return ["# fish completion for vapfarm", pathFunction(tree), "complete -c vapfarm -f", ...lines].join("\n");
}

function linesOf({ path, options, arguments: own, commands }: CommandNode): readonly string[] {
  const at = `complete -c vapfarm -n ${fishQuoted(`__vapfarm_at ${path}`.trim())}`;
  return [
    ...commands.map(({ name, summary }) => `${at} -a ${fishQuoted(name)} -d ${fishQuoted(summary)}`),
    ...options.map((option) => `${at} ${optionWords(option)}`),
    ...own.map((argument) => argumentLine(at, argument)).filter((line) => line !== ""),
  ];
}

function optionWords({ names, description, value }: OptionNode): string {
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const from = value === undefined ? [] : ["-r", valueWords(value)];
  return [...flags, ...from, `-d ${fishQuoted(description)}`].filter((word) => word !== "").join(" ");
}

function argumentLine(at: string, { value }: ArgumentNode): string {
  const words = valueWords(value);
  return words === "" ? "" : `${at} ${words}`;
}

function valueWords(source: ValueSource): string {
  switch (source.kind) {
    case "choices":
      return `-a ${fishQuoted(source.values.join(" "))}`;
    case "files":
      return "-F";
    case "folders":
      return `-a ${fishQuoted("(__fish_complete_directories)")}`;
    case "dynamic":
      return `-a ${fishQuoted(`(__vapfarm_dynamic ${source.of})`)}`;
    case "free":
      return "";
  }
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
