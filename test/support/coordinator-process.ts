/**
 * The coordinator's real program as a child of the test, which ends with it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { compileCache } from "./compile-cache.ts";

const program = join(import.meta.dirname, "../../services/coordinator/main.ts");

export type CoordinatorReady = { readonly kind: string; readonly name: string; readonly grpcAddress: string; readonly httpAddress: string };

export type CoordinatorProcess = {
  readonly process: ChildProcess;
  /** Resolves once it answers. */
  readonly ready: Promise<CoordinatorReady>;
  /** Its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** What it has said so far. */
  log(): string;
};

/** Starts it with this environment, PATH and the cache of what was compiled. */
export function startCoordinatorProcess(environment: Readonly<Record<string, string>>): CoordinatorProcess {
  const child = fork(program, {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { PATH: process.env["PATH"], ...compileCache, ...environment },
  });
  let log = "";
  child.stderr?.on("data", (text: Buffer) => (log += text.toString()));
  return {
    process: child,
    ready: once(child, "message").then(([message]) => message as CoordinatorReady),
    ended: once(child, "exit").then(([code]) => code as number | null),
    log: () => log,
  };
}
