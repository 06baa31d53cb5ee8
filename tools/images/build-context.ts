/**
 * What of the project an engine is given (.dockerignore), and what COPY takes of it: pure.
 */
import type { Dockerfile } from "./dockerfile.ts";

/** Tells whether a path of the project is in the build context; the last pattern that matches decides. Throws for patterns it does not know. */
export function contextFilter(ignore: string): (path: string) => boolean {
  const rules = ignore
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map(ruleOf);
  return (path) => {
    const parts = path.split("/");
    let isIn = true;
    for (const { pattern, takes } of rules)
      if (pattern.length <= parts.length && pattern.every((part, at) => matches(part, parts[at] ?? ""))) isIn = takes;
    return isIn;
  };
}

type Rule = { readonly pattern: readonly string[]; readonly takes: boolean };

function ruleOf(line: string): Rule {
  const takes = line.startsWith("!");
  const pattern = (takes ? line.slice(1) : line).split("/");
  if (pattern.some((part) => part === "" || part === "**" || /[?[\]\\]/.test(part)))
    throw new TypeError(`.dockerignore: ${line} is not understood`);
  return { pattern, takes };
}

function matches(pattern: string, part: string): boolean {
  const expression = pattern.split("*").map((piece) => piece.replaceAll(/[.+^$(){}|]/g, "\\$&"));
  return new RegExp(`^${expression.join("[^/]*")}$`).test(part);
}

/** Sources of every COPY from the context. */
export function copiedSources({ stages }: Dockerfile): readonly string[] {
  return stages.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "copy" && step.from === undefined ? step.sources : [])));
}
