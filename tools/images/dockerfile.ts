/**
 * Reads the part of Dockerfile's language that this project uses, and refuses the rest by line: pure.
 *
 * Refusing is the point: what is replayed (replay.ts) and what an engine would build must be the same, so nothing is guessed.
 */

export type Step =
  | { readonly kind: "arg"; readonly name: string }
  | { readonly kind: "run"; readonly command: string }
  | { readonly kind: "copy"; readonly from: string | undefined; readonly sources: readonly string[]; readonly target: string }
  | { readonly kind: "env" | "label"; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: "workdir" | "user"; readonly value: string }
  | { readonly kind: "volume" | "entrypoint" | "cmd"; readonly values: readonly string[] }
  | { readonly kind: "expose"; readonly ports: readonly number[] };

export type PlacedStep = Step & { readonly line: number };
export type Stage = { readonly base: string; readonly name: string; readonly line: number; readonly steps: readonly PlacedStep[] };
export type Dockerfile = { readonly args: readonly string[]; readonly stages: readonly Stage[] };

type Instruction = { readonly line: number; readonly name: string; readonly rest: string };

class Refusal extends TypeError {
  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
  }
}

/** Throws with line and reason for whatever it does not know. */
export function parseDockerfile(text: string): Dockerfile {
  const args: string[] = [];
  const stages: { base: string; name: string; line: number; steps: PlacedStep[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    const { line, name, rest } = instruction;
    const stage = stages.at(-1);
    if (name === "FROM") {
      const found = /^(?<base>\S+) AS (?<name>[a-z][a-z0-9-]*)$/.exec(rest)?.groups;
      if (found?.["base"] === undefined || found["name"] === undefined) throw new Refusal(line, "FROM must be `FROM base AS name`");
      if (stages.some((other) => other.name === found["name"])) throw new Refusal(line, `stage ${found["name"]} is there already`);
      stages.push({ base: found["base"], name: found["name"], line, steps: [] });
    } else if (stage === undefined) {
      if (name !== "ARG") throw new Refusal(line, `${name} stands before the first FROM`);
      args.push(argName(instruction));
    } else {
      stage.steps.push({ ...stepOf(instruction), line });
    }
  }
  return { args, stages };
}

/** Instructions with their continued lines joined; comments and empty lines apart. */
function* instructionsOf(text: string): Generator<Instruction> {
  let [joined, began] = ["", 0];
  for (const [index, raw] of text.split("\n").entries()) {
    const isContinued = joined !== "";
    if (/^\s*#/.test(raw)) {
      if (isContinued) throw new Refusal(index + 1, "a comment within an instruction");
      continue;
    }
    if (!isContinued && raw.trim() === "") continue;
    if (!isContinued) began = index + 1;
    joined += raw.trimEnd().endsWith("\\") ? `${raw.trimEnd().slice(0, -1).trim()} ` : raw.trim();
    if (raw.trimEnd().endsWith("\\")) continue;
    const found = /^(?<name>[A-Z]+)\s+(?<rest>.+)$/s.exec(joined)?.groups;
    if (found?.["name"] === undefined || found["rest"] === undefined) throw new Refusal(began, `not an instruction: ${joined}`);
    yield { line: began, name: found["name"], rest: found["rest"] };
    joined = "";
  }
  if (joined !== "") throw new Refusal(began, "the last instruction has no end");
}

function stepOf(instruction: Instruction): Step {
  const { line, name, rest } = instruction;
  switch (name) {
    case "ARG":
      return { kind: "arg", name: argName(instruction) };
    case "RUN":
      if (/^\[|^--|<<[-"'A-Z]/.test(rest)) throw new Refusal(line, "RUN takes a shell command: no list, no flags, no here-document");
      return { kind: "run", command: rest };
    case "COPY":
      return copyOf(instruction);
    case "ENV":
    case "LABEL":
      return { kind: name === "ENV" ? "env" : "label", values: pairsOf(instruction) };
    case "WORKDIR":
      if (!rest.startsWith("/") || /\s/.test(rest)) throw new Refusal(line, "WORKDIR takes an absolute path");
      return { kind: "workdir", value: rest };
    case "USER":
      return { kind: "user", value: rest };
    case "VOLUME":
    case "ENTRYPOINT":
    case "CMD":
      return { kind: name === "VOLUME" ? "volume" : name === "CMD" ? "cmd" : "entrypoint", values: listOf(instruction) };
    case "EXPOSE":
      if (!/^\d+( \d+)*$/.test(rest)) throw new Refusal(line, "EXPOSE takes ports");
      return { kind: "expose", ports: rest.split(" ").map(Number) };
    default:
      throw new Refusal(line, `${name} is not one of the instructions that are used here`);
  }
}

function argName({ line, rest }: Instruction): string {
  if (!/^[A-Z][A-Z0-9_]*$/.test(rest))
    throw new Refusal(line, "ARG takes a name and no default: what an image is made of is said by who builds it");
  return rest;
}

function copyOf({ line, rest }: Instruction): Step {
  const words = rest.split(/\s+/);
  const from = /^--from=(?<stage>[a-z][a-z0-9-]*)$/.exec(words[0] ?? "")?.groups?.["stage"];
  const paths = from === undefined ? words : words.slice(1);
  const [target, sources] = [paths.at(-1), paths.slice(0, -1)];
  if (target === undefined || sources.length === 0 || paths.some((path) => /^--|[*?[\]"$]|\.\./.test(path))) {
    throw new Refusal(line, "COPY takes plain paths and --from=stage");
  }
  if (sources.length > 1 && !target.endsWith("/")) throw new Refusal(line, "COPY of several sources needs a folder that ends with /");
  return { kind: "copy", from, sources, target };
}

function pairsOf({ line, rest }: Instruction): Readonly<Record<string, string>> {
  const pairs = [...rest.matchAll(/(?<name>[A-Za-z][\w.]*)="(?<value>[^"\\]*)"(?:\s+|$)/g)];
  if (pairs.map(([whole]) => whole).join("") !== rest) throw new Refusal(line, 'pairs must be NAME="value"');
  return Object.fromEntries(pairs.map(({ groups }) => [groups?.["name"] ?? "", groups?.["value"] ?? ""]));
}

function listOf({ line, rest }: Instruction): readonly string[] {
  try {
    const list: unknown = JSON.parse(rest);
    if (Array.isArray(list) && list.every((item) => typeof item === "string")) return list;
  } catch {
    // Not JSON: refused below.
  }
  throw new Refusal(line, "must be a JSON list of strings");
}

/** `${NAME}` by its value; throws for one that has none. */
export function substitute(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{([A-Z][A-Z0-9_]*)\}/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`${name} is not set`);
    return value;
  });
}
