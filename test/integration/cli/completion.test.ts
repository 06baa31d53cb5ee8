import { execFile, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../../support/cli.ts";
import { cleanEnvironment } from "../../support/farm.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

const runFile = promisify(execFile);
const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;

/** A line with the cursor at its end → what must be offered, and what must not. */
const cases = [
  { line: "vapfarm ren", offers: ["render", "renders"], not: ["up", "__complete"] },
  { line: "vapfarm workers ", offers: ["cordon", "drain", "show"], not: ["render"] },
  { line: "vapfarm render --sch", offers: ["--scheduler"], not: ["--seed"] },
  { line: "vapfarm render --scheduler ", offers: ["ddim", "dpm"], not: ["--seed"] },
  { line: "vapfarm render --scheduler d", offers: ["ddim", "dpm"], not: [] },
  { line: "vapfarm render --prompt workers --mo", offers: ["--model", "--models"], not: ["--image"] },
  { line: "vapfarm completion ", offers: ["bash", "zsh", "fish"], not: ["render"] },
  { line: "vapfarm config use-context ", offers: ["home", "studio"], not: ["use-context"] },
  { line: "vapfarm jobs --context st", offers: ["studio"], not: ["home"] },
  { line: "vapfarm bench ", offers: ["import", "run", "report"], not: ["render"] },
  { line: "vapfarm bench run --metrics mo", offers: ["motion_smoothness"], not: ["dynamic_degree"] },
  { line: "vapfarm bench report --clips ", offers: ["worst", "all", "none"], not: ["--html"] },
  { line: "vapfarm render --image pic", offers: ["picture.png"], not: ["render"] },
] as const;

let folder = "";
let environment: NodeJS.ProcessEnv = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-completion-"));
  await mkdir(join(folder, "vapfarm"));
  const contexts = { home: { address: "127.0.0.1:1" }, studio: { address: "127.0.0.1:2" } };
  await writeFile(join(folder, "vapfarm/config.json"), JSON.stringify({ contexts }), { mode: 0o600 });
  await writeFile(join(folder, "picture.png"), "");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await runCli(["completion", shell]);
    expect(code).toBe(0);
    await writeFile(join(folder, `vapfarm.${shell}`), stdout);
  }
  const { PATH: path = "" } = process.env;
  environment = cleanEnvironment({ PATH: `${projectRoot}:${path}`, XDG_CONFIG_HOME: folder, VAPFARM_DATA: folder });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = async (shell: string, args: readonly string[]): Promise<readonly string[]> => {
  const { stdout } = await runFile(shell, [...args], { cwd: folder, env: environment });
  return stdout.split("\n").map((line) => line.split("\t")[0]?.trim() ?? "").filter((line) => line !== ""); // prettier-ignore
};

describe("completion in bash", () => {
  const bash = (line: string): Promise<readonly string[]> => {
    // As readline calls it: the words of the line, the index of the last one.
    const script = `source ./vapfarm.bash; IFS=' ' read -r -a COMP_WORDS <<< "$1"; [[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _vapfarm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return run("bash", ["--norc", "--noprofile", "-c", script, "bash", line]);
  };

  it.each(cases)("offers what fits after $line", async ({ line, offers, not }) => {
    const offered = await bash(line);
    expect(offered).toEqual(expect.arrayContaining([...offers]));
    for (const each of not) expect(offered).not.toContain(each);
  });

  it("takes the value after an equals sign, which bash makes a word of its own", async () => {
    expect(await bash("vapfarm render --scheduler = dd")).toEqual(["ddim"]);
  });

  it("offers nothing, in about a second, when no farm answers", async () => {
    const began = performance.now();
    expect(await bash("vapfarm job --address 192.0.2.1:9 ")).toEqual([]);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe.skipIf(!has("zsh"))("completion in zsh (skipped where zsh is not installed)", () => {
  it("is a script that zsh can read and register", async () => {
    const script = "autoload -Uz compinit; compinit -u -D; source ./vapfarm.zsh; print -r -- ${_comps[vapfarm]}";
    expect(await run("zsh", ["-f", "-c", script])).toEqual(["_vapfarm"]);
  });

  it.each(cases.filter(({ line }) => !line.includes("pic")))("offers what fits after $line", async ({ line, offers, not }) => {
    // `_describe` and `compadd` are what zsh's completion system provides; played here, they print what they are given.
    const script = `compdef() { :; }; source ./vapfarm.zsh
_describe() { print -rl -- "\${(@)\${(@P)2}%%:*}"; }; compadd() { shift; print -rl -- "$@"; }
words=("\${(@s: :)1}"); CURRENT=\${#words}; _vapfarm`;
    const prefix = line.split(" ").at(-1) ?? "";
    const offered = (await run("zsh", ["-f", "-c", script, "zsh", line])).filter((each) => each.startsWith(prefix));
    expect(offered).toEqual(expect.arrayContaining([...offers]));
    for (const each of not) expect(offered).not.toContain(each);
  });
});

describe.skipIf(!has("fish"))("completion in fish (skipped where fish is not installed)", () => {
  it.each(cases)("offers what fits after $line", async ({ line, offers, not }) => {
    const offered = await run("fish", ["--no-config", "-c", `source ./vapfarm.fish; complete -C "$argv[1]"`, line]);
    expect(offered).toEqual(expect.arrayContaining([...offers]));
    for (const each of not) expect(offered).not.toContain(each);
  });
});

describe("vapfarm __complete", () => {
  it("never fails, whatever it is asked", async () => {
    for (const args of [["jobs", "--bogus", "--address", "127.0.0.1:1"], ["nonsense"], ["contexts"]]) {
      const { code, stderr } = await runCli(["__complete", ...args], { VAPFARM_DATA: folder, XDG_CONFIG_HOME: join(folder, "nowhere") });
      expect([code, stderr]).toEqual([0, ""]);
    }
  });
});
