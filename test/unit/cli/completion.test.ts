import { execFileSync } from "node:child_process";
import { Argument, Command } from "commander";
import { describe, expect, it } from "vitest";
import { bashScript } from "../../../services/cli/completion/bash.ts";
import { farmOptionsOf } from "../../../services/cli/completion/dynamic.ts";
import { fishScript } from "../../../services/cli/completion/fish.ts";
import { allCommands, completionTree } from "../../../services/cli/completion/tree.ts";
import { quoted } from "../../../services/cli/completion/walk.ts";
import { zshScript } from "../../../services/cli/completion/zsh.ts";

const hostile = 'it\'s $(touch /tmp/vapfarm-was-run) `id` "x" \\ ; |';

function program(): Command {
  const root = new Command("vapfarm");
  root.addCommand(
    new Command("show")
      .summary(hostile)
      .argument("<job>", "job id")
      .option("--out <folder>", "where")
      .option("--file <file>", "what")
      .option("--model <name>", "which")
      .option("-n, --number <count>", "how many")
      .option("--json", "as JSON"),
  );
  const bench = new Command("bench");
  bench.addCommand(new Command("run").argument("<suite>", "which").option("--metrics <list>", "what"));
  bench.addCommand(new Command("report").argument("<run>", "which").option("--compare <run>", "with what"));
  root.addCommand(bench);
  const workers = new Command("workers").addCommand(new Command("drain").argument("<name>", "which"));
  root.addCommand(workers);
  root.addCommand(new Command("shell").addArgument(new Argument("<shell>", "which").choices(["bash", "zsh"])));
  root.addCommand(new Command("__hidden"), { hidden: true });
  return root;
}

describe("what can stand on the command line", () => {
  const nodes = allCommands(completionTree(program()));

  it("is every visible command with its path", () => {
    expect(nodes.map(({ path }) => path)).toEqual(expect.arrayContaining(["", "show", "workers", "workers drain", "shell"]));
    expect(nodes.map(({ name }) => name)).not.toContain("__hidden");
  });

  it("tells suites, runs and metrics by their names", () => {
    const [run, report] = ["bench run", "bench report"].map((path) => nodes.find((node) => node.path === path));
    expect(run?.arguments[0]?.value).toEqual({ kind: "dynamic", of: "suites" });
    expect(report?.arguments[0]?.value).toEqual({ kind: "dynamic", of: "runs" });
    const metrics = run?.options.find(({ names }) => names.includes("--metrics"))?.value;
    expect(metrics).toMatchObject({ kind: "choices", values: expect.arrayContaining(["clip_score", "none"]) as unknown });
  });

  it("tells values by their names", () => {
    const show = nodes.find(({ path }) => path === "show");
    const values = new Map((show?.options ?? []).map(({ names, value }) => [names[0], value]));
    expect(Object.fromEntries(values)).toMatchObject({
      "--out": { kind: "folders" },
      "--file": { kind: "files" },
      "--model": { kind: "dynamic", of: "models" },
      "--number": { kind: "free" },
    });
    expect(values.get("--json")).toBeUndefined();
    expect(show?.arguments).toEqual([{ value: { kind: "dynamic", of: "jobs" }, isVariadic: false }]);
    expect(nodes.find(({ path }) => path === "workers drain")?.arguments[0]?.value).toEqual({ kind: "dynamic", of: "workers" });
    expect(nodes.find(({ path }) => path === "shell")?.arguments[0]?.value).toEqual({ kind: "choices", values: ["bash", "zsh"] });
  });
});

describe("a completion script", () => {
  it("quotes what it is made from, so that nothing of it is ever run", () => {
    expect(execFileSync("bash", ["-c", `printf %s ${quoted(hostile)}`]).toString()).toBe(hostile);
    const tree = completionTree(program());
    const script = `${bashScript(tree)}\n_vapfarm_commands ''`;
    expect(execFileSync("bash", ["--norc", "-c", script]).toString()).toContain(`show\t${hostile}\n`);
    expect(zshScript(tree)).toMatch(/^#compdef vapfarm\n/);
    expect(fishScript(tree)).toContain("-d 'it\\'s $(touch");
  });
});

describe("the farm of a half-typed line", () => {
  it.each([
    [["job", "--address", "a:1"], { address: "a:1" }],
    [["job", "--address=a:1", "--context", "c"], { address: "a:1", context: "c" }],
    [["job", "--data", "=", "/d"], { data: "/d" }],
    [["job", "--address"], {}],
    [[], {}],
  ])("is read from %j", (words, options) => {
    expect(farmOptionsOf(words)).toEqual(options);
  });
});
