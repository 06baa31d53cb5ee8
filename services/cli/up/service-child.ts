/**
 * One life of a service (coordinator, worker) as a child process with an IPC channel.
 *
 * The child runs in a process group of its own, so that a Ctrl-C reaches it only through us and in order; it ends when our end of
 * the channel closes, a SIGKILL of ours included. Its output goes to a log file.
 */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { FarmError } from "../../domain/errors.ts";
import type { Environment } from "../../platform/config.ts";
import { withDeadline } from "../../platform/deadline.ts";
import type { Life } from "./keeper.ts";

/** Which service, and where its output goes. */
export type ServiceOptions = {
  readonly name: string;
  /** main.ts of the service. */
  readonly program: string;
  readonly environment: Environment;
  readonly logPath: string;
  /** After this a child that got SIGTERM is killed. */
  readonly stopMs: number;
};

const startMs = 60_000;

/** Starts the service and returns once it says that it answers. Throws PROCESS_START_FAILED with the end of its log. */
export async function startService(options: ServiceOptions): Promise<Life> {
  const log = openSync(options.logPath, "a", 0o600);
  const child = fork(options.program, [], {
    env: { ...options.environment, VAPFARM_EXIT_WITH_PARENT: "1" },
    execArgv: [],
    stdio: ["ignore", log, log, "ipc"],
    detached: true,
    serialization: "json",
  });
  closeSync(log);
  const ended = new Promise<string>((resolve) => child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code ?? "?"}`)));
  const stop = (): Promise<void> => endOf(child, ended, options.stopMs);
  try {
    const facts = await withDeadline(readiness(child, options), {
      ms: startMs,
      code: "PROCESS_START_FAILED",
      what: `the start of ${options.name}`,
    });
    // A second signal after that of `stop`.
    return { processId: child.pid ?? 0, facts, ended, stop, hurry: () => void child.kill("SIGTERM") };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

type Ready = { readonly kind: "ready"; readonly [fact: string]: unknown };

function isReady(message: unknown): message is Ready {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "ready";
}

function readiness(child: ChildProcess, options: ServiceOptions): Promise<Readonly<Record<string, string>>> {
  return new Promise((resolve, reject) => {
    child.on("message", (message) => {
      if (isReady(message)) resolve(Object.fromEntries(Object.entries(message).map(([key, value]) => [key, String(value)])));
    });
    child.once("error", reject);
    child.once("exit", () => void failure(options).then(reject, reject));
  });
}

async function failure({ name, logPath }: ServiceOptions): Promise<FarmError> {
  const log = await readFile(logPath, "utf8").catch(() => "");
  const last = log.trim().split("\n").at(-1) ?? "";
  return new FarmError("PROCESS_START_FAILED", { message: `${name} did not start: ${messageOf(last)} (log: ${logPath})` });
}

/** The message of a JSON log line, or the line. */
function messageOf(line: string): string {
  try {
    const { msg } = JSON.parse(line) as { readonly msg?: unknown };
    return typeof msg === "string" ? msg : line;
  } catch {
    return line;
  }
}

async function endOf(child: ChildProcess, ended: Promise<string>, stopMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), stopMs);
  await ended;
  clearTimeout(killer);
}
