/**
 * One run of a program that reads or writes media, in a process of its own.
 *
 * Invariants: no shell; only the environment that is named; SIGKILL on abort, on timeout and when the consumer has enough; when the promise
 * settles the process is gone. What an exit means is the caller's to judge.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { type ErrorCode, FarmError } from "../../domain/errors.ts";

export type MediaRun = {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The error when the program cannot be run at all. */
  readonly missing: ErrorCode;
};

/** The process's pipes. Returning ends the run: a process that still writes is killed. */
export type MediaStreams = { readonly stdin: Writable; readonly stdout: Readable };

export type MediaExit = {
  readonly exitCode: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** The last part of what the process said on stderr. */
  readonly log: string;
  /** Whether the consumer had enough before the end, so that the exit says nothing. */
  readonly endedEarly: boolean;
};

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const logBytes = 64 * 1024;

/** Runs the program until `consume` returns and the process ends. `consume` returns "enough" when it wants no more. */
export async function runMediaProcess(run: MediaRun, consume: (streams: MediaStreams) => Promise<"all" | "enough">): Promise<MediaExit> {
  run.signal.throwIfAborted();
  const child = start(run);
  const kill = (): void => void child.kill("SIGKILL");
  run.signal.addEventListener("abort", kill, { once: true });
  const log = collectLog(child.stderr);
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  // The consumer may fail first; the process's own failure is then only a consequence.
  closed.catch(() => undefined);
  try {
    const taken = await consume(child);
    if (taken === "enough") kill();
    const [exitCode, killedBy] = await closed;
    run.signal.throwIfAborted();
    return { exitCode, killedBy, log: log(), endedEarly: taken === "enough" };
  } catch (thrown) {
    kill();
    await closed.catch(() => undefined);
    run.signal.throwIfAborted();
    if (child.pid === undefined) throw new FarmError(run.missing, { message: `${run.program} cannot be run`, cause: thrown });
    throw thrown;
  } finally {
    run.signal.removeEventListener("abort", kill);
  }
}

function start({ program, args, environment }: MediaRun): Child {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: environment });
  // A process that ends before it has read everything closes its pipe; its exit tells why.
  child.stdin.on("error", () => undefined);
  return child;
}

function collectLog(stderr: Readable): () => string {
  let log = "";
  stderr.setEncoding("utf8");
  stderr.on("data", (text: string) => {
    log = (log + text).slice(-logBytes);
  });
  return () => log;
}
