import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const readme = read("README.md");

/** Words of the shell commands in a document; comments and lines' ends apart. */
function commandWords(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1] ?? "");
  const lines = blocks.flatMap((block) => block.replaceAll("\\\n", " ").split("\n"));
  return lines.flatMap((line) => line.replace(/(^| )#.*$/, "").match(/"[^"]*"|\S+/g) ?? []);
}

/** What a command writes or what the reader brings is not there yet. */
function isNamedForLater(words: readonly string[], index: number): boolean {
  return ["--out", "--checkpoint"].includes(words[index - 1] ?? "");
}

const words = commandWords(readme);
const paths = words.filter((word, index) => /^(\.\/)?[\w-]+\/[\w./-]+$|^\.\/[\w-]+$/.test(word) && !isNamedForLater(words, index));
const targets = words.filter((_word, index) => words[index - 1] === "make");
const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1] ?? "");

describe("the README", () => {
  it("names commands' paths that are in the repository", () => {
    expect(paths).toEqual(expect.arrayContaining(["./vapfarm", "demo/image.png", "demo/clip.mp4"]));
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(existsSync(join(root, "models", words[words.indexOf("--model") + 1] ?? "", "farm.json"))).toBe(true);
  });

  it("names targets that the Makefile has", () => {
    const makefile = read("Makefile");
    expect(targets).toContain("demo");
    expect(targets.filter((target) => !new RegExp(`^${target}:`, "m").test(makefile))).toEqual([]);
  });

  it("links to what is there", () => {
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((link) => !existsSync(join(root, dirname("README.md"), link)))).toEqual([]);
  });
});

describe("the metrics that documents name", () => {
  const metricPattern = /\bvapfarm_[a-z_]+/g;
  const sources = globSync("services/**/*.ts", { cwd: root, exclude: ["services/gen/**"] });
  const known = new Set(sources.flatMap((path) => read(path).match(metricPattern) ?? []));

  it.each(["deploy/RUNBOOK.md", "deploy/METRICS.md", ...globSync("docs/decisions/*.md", { cwd: root })])("are in services: %s", (path) => {
    const documented = new Set(read(path).match(metricPattern) ?? []);
    expect([...documented].filter((metric) => !known.has(metric))).toEqual([]);
  });

  it("include every count of what should never be", () => {
    for (const metric of ["vapfarm_mass_lapses_total", "vapfarm_illegal_transitions_total", "vapfarm_sweep_repairs_total"]) {
      expect(read("deploy/RUNBOOK.md")).toContain(metric);
    }
  });
});
