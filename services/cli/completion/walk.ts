/**
 * The part of a completion script that bash and zsh share: functions that answer what can stand where, written out as `case` statements.
 *
 * Invariant: everything from the tree is single-quoted, so that no name or description is ever run.
 */
import { allCommands, type CommandNode, type ValueSource } from "./tree.ts";

/** A word that any POSIX shell reads back as it is. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** How a value's source is written in the scripts: words, or `@files`, `@folders`, `@jobs` .., `@free`. */
export function sourceWord(source: ValueSource): string {
  switch (source.kind) {
    case "choices":
      return source.values.join(" ");
    case "dynamic":
      return `@${source.of}`;
    case "files":
    case "folders":
    case "free":
      return `@${source.kind}`;
  }
}

/** Lines `name<tab>description` for a shell function that prints them. */
type Entry = { readonly name: string; readonly description: string };

/** Functions `_vapfarm_commands PATH`, `_vapfarm_options PATH` and `_vapfarm_value PATH WORD` in plain POSIX shell. */
export function tableFunctions(tree: CommandNode): string {
  const nodes = allCommands(tree);
  const commands = nodes.map(({ path, commands: below }) => ({
    path,
    entries: below.map(({ name, summary }) => ({ name, description: summary })),
  }));
  const options = nodes.map(({ path, options: own }) => ({
    path,
    entries: own.flatMap(({ names, description }) => names.filter((name) => name.startsWith("--")).map((name) => ({ name, description }))),
  }));
  return [printer("_vapfarm_commands", commands), printer("_vapfarm_options", options), values(nodes)].join("\n");
}

function printer(name: string, rows: readonly { readonly path: string; readonly entries: readonly Entry[] }[]): string {
  const cases = rows
    .filter(({ entries }) => entries.length > 0)
    .map(({ path, entries }) => {
      const words = entries.map((entry) => quoted(`${entry.name}\t${entry.description}`)).join(" ");
      return `    ${quoted(path)}) printf '%s\\n' ${words} ;;`;
    });
  return [`${name}() {`, `  case "$1" in`, ...cases, "  esac", "}"].join("\n");
}

/** Of an option that takes a value, or of the n-th argument (`#1`; `#*` for those that may repeat). */
function values(nodes: readonly CommandNode[]): string {
  const cases = nodes.flatMap(({ path, options, arguments: own }) => [
    ...options.flatMap(({ names, value }) =>
      value === undefined ? [] : [`    ${names.map((name) => quoted(`${path}|${name}`)).join("|")}) echo ${quoted(sourceWord(value))} ;;`],
    ),
    ...own.map(({ value, isVariadic }, index) => {
      const pattern = isVariadic ? `${quoted(`${path}|#`)}*` : quoted(`${path}|#${index + 1}`);
      return `    ${pattern}) echo ${quoted(sourceWord(value))} ;;`;
    }),
  ]);
  return [`_vapfarm_value() {`, `  case "$1|$2" in`, ...cases, "  esac", "}"].join("\n");
}

/**
 * Reads `_vapfarm_words` (the words before the one being typed, without the program) and sets `_vapfarm_path` (command),
 * `_vapfarm_position` (which argument is being typed) and `_vapfarm_pending` (option whose value is being typed, or empty).
 */
export const walkFunction = `_vapfarm_walk() {
  _vapfarm_path='' _vapfarm_position=1 _vapfarm_pending=''
  local word next
  for word in "\${_vapfarm_words[@]}"; do
    if [ -n "$_vapfarm_pending" ]; then _vapfarm_pending=''; continue; fi
    case "$word" in
      --*=*) continue ;;
      -*)
        if [ -n "$(_vapfarm_value "$_vapfarm_path" "$word")" ]; then _vapfarm_pending=$word; fi
        continue ;;
    esac
    next="$_vapfarm_path \${word}"
    next="\${next# }"
    if _vapfarm_commands "$_vapfarm_path" | cut -f1 | grep -qxF -e "$word"; then
      _vapfarm_path=$next _vapfarm_position=1
    else
      _vapfarm_position=$((_vapfarm_position + 1))
    fi
  done
}`;
