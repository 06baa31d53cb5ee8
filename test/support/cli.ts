/**
 * Runs the real vapfarm command and says how it ended.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { cleanEnvironment } from "./farm.ts";
import { projectRoot } from "./ffmpeg.ts";

export type CliOutcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

export type CliRun = {
  readonly process: ChildProcess;
  readonly outcome: Promise<CliOutcome>;
  /** Resolves once stderr or stdout holds a match. */
  printed(pattern: RegExp): Promise<void>;
};

/** Starts the command without a terminal; `input` is all of its stdin. */
export function startCli(args: readonly string[], environment: Readonly<Record<string, string>> = {}, input = ""): CliRun {
  const child = spawn(join(projectRoot, "vapfarm"), [...args], { env: cleanEnvironment(environment), stdio: ["pipe", "pipe", "pipe"] });
  // A command that does not read its stdin may end before it is written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  const tell = (): void => {
    for (const watch of watchers) watch();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    tell();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    tell();
  });
  const outcome = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const printed = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!pattern.test(stdout) && !pattern.test(stderr)) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  return { process: child, outcome, printed };
}

/** Runs the command to its end. */
export function runCli(args: readonly string[], environment: Readonly<Record<string, string>> = {}, input = ""): Promise<CliOutcome> {
  return startCli(args, environment, input).outcome;
}
