/**
 * One run of ffmpeg in a process of its own.
 *
 * Invariants: no shell; a minimal environment; SIGKILL on abort, on timeout and when the consumer has enough; the address space is limited
 * where `prlimit` exists; when the promise settles the process is gone. What an exit means is the caller's to judge.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { FarmError } from "../../domain/errors.ts";

export type FfmpegRun = {
  readonly ffmpegPath: string;
  readonly args: readonly string[];
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
};

/** The process's pipes. Returning ends the run: a process that still writes is killed. */
export type FfmpegStreams = { readonly stdin: Writable; readonly stdout: Readable };

export type FfmpegExit = {
  readonly exitCode: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** The last part of what ffmpeg said on stderr. */
  readonly log: string;
  /** Whether the consumer had enough before the end, so that the exit says nothing. */
  readonly endedEarly: boolean;
};

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const logBytes = 64 * 1024;
const prlimitPath = "/usr/bin/prlimit";

/**
 * GCONV_PATH: a static ffmpeg would load the machine's character-set modules into another libc and crash (MPEG-TS service
 * names); an empty place leaves those names undecoded, and nothing reads them.
 */
const environment = { GCONV_PATH: "/nonexistent", LC_ALL: "C" };

/** Runs ffmpeg until `consume` returns and the process ends. `consume` returns "enough" when it wants no more. */
export async function runFfmpeg(run: FfmpegRun, consume: (streams: FfmpegStreams) => Promise<"all" | "enough">): Promise<FfmpegExit> {
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
    if (child.pid === undefined) throw new FarmError("FFMPEG_MISSING", { message: `${run.ffmpegPath} cannot be run`, cause: thrown });
    throw thrown;
  } finally {
    run.signal.removeEventListener("abort", kill);
  }
}

function start(run: FfmpegRun): Child {
  const args = ["-hide_banner", "-nostdin", "-loglevel", "level+warning", ...run.args];
  const [command, commandArgs] = canLimit()
    ? [prlimitPath, [`--as=${run.memoryBytes}`, "--core=0", "--", run.ffmpegPath, ...args]]
    : [run.ffmpegPath, args];
  const child = spawn(command, commandArgs, { stdio: ["pipe", "pipe", "pipe"], env: environment });
  // A process that ends before it has read everything closes its pipe; its exit tells why.
  child.stdin.on("error", () => undefined);
  return child;
}

function canLimit(): boolean {
  try {
    accessSync(prlimitPath, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function collectLog(stderr: Readable): () => string {
  let log = "";
  stderr.setEncoding("utf8");
  stderr.on("data", (text: string) => {
    log = (log + text).slice(-logBytes);
  });
  return () => log;
}
