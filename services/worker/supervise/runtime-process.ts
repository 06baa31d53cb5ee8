/**
 * One life of the stage runtime: a child process with an IPC channel, until it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { FarmError, isErrorCode } from "../../domain/errors.ts";
import { withDeadline } from "../../platform/deadline.ts";

export type RuntimeProcess = {
  readonly processId: number;
  /** Where its gRPC server answers. */
  readonly address: string;
  /** Settles with how it ended, e.g. "SIGKILL" or "1". */
  readonly exited: Promise<string>;
  /** Settles once all that it wrote to stderr was read. */
  readonly logEnded: Promise<void>;
  kill(): void;
};

export type LaunchOptions = {
  /** Absolute path of the runtime's program. */
  readonly entry: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly readyMs: number;
  /** Aborting gives the start up. */
  readonly signal: AbortSignal;
  /** Takes what it writes to stderr. */
  readonly onLog: (chunk: Buffer) => void;
  /** Called once the process exists, before it is waited for. */
  readonly onSpawned: (processId: number) => Promise<void>;
};

/** Starts it and waits until it answers. Throws what the runtime says, else RUNTIME_START_FAILED; then no process is left. */
export async function launchRuntime(options: LaunchOptions): Promise<RuntimeProcess> {
  const child = spawn(process.execPath, [options.entry], {
    env: { ...options.environment },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const logEnded = new Promise<void>((resolve) => child.stderr?.on("data", options.onLog).once("close", resolve));
  const exited = new Promise<string>((resolve) => child.once("exit", (code, signal) => resolve(signal ?? String(code))));
  const kill = (): void => void child.kill("SIGKILL");
  options.signal.addEventListener("abort", kill, { once: true });
  try {
    const answering = readiness(child, exited);
    answering.catch(() => undefined);
    const { pid: processId } = child;
    if (processId === undefined) await answering;
    else await options.onSpawned(processId);
    const address = await withDeadline(answering, {
      ms: options.readyMs,
      code: "RUNTIME_START_FAILED",
      what: "the start of the stage runtime",
    });
    return { processId: processId ?? 0, address, exited, logEnded, kill };
  } catch (thrown) {
    kill();
    throw thrown;
  } finally {
    options.signal.removeEventListener("abort", kill);
  }
}

function readiness(child: ChildProcess, exited: Promise<string>): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new FarmError("RUNTIME_START_FAILED", { message: cause.message, cause })));
    child.on("message", (message) => {
      const { kind, address, code, message: text } = factsOf(message);
      if (kind === "ready" && address !== undefined) resolve(address);
      if (kind === "failed")
        reject(new FarmError(code !== undefined && isErrorCode(code) ? code : "RUNTIME_START_FAILED", { message: text ?? "" }));
    });
    // The process may be seen to end before its last message is read; the channel closes only after that.
    const channelClosed = new Promise<void>((closed) => child.once("disconnect", () => closed()));
    void Promise.all([exited, channelClosed]).then(([how]) => {
      reject(new FarmError("RUNTIME_START_FAILED", { message: `the stage runtime ended at its start (${how})` }));
    });
  });
}

type Facts = { readonly kind?: string; readonly address?: string; readonly code?: string; readonly message?: string };

function factsOf(message: unknown): Facts {
  if (typeof message !== "object" || message === null) return {};
  return Object.fromEntries(Object.entries(message).filter(([, value]) => typeof value === "string"));
}
