/**
 * A real farm for tests: `vapfarm up --json` as a child, with clients of its gRPC service and its database.
 *
 * It ends with the test process, a killed one included: the child holds an IPC channel to us.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type FarmFile, layoutOf, readFarmFile } from "../../services/cli/data-folder.ts";
import { connectFarm, type FarmClient } from "../../services/client/farm-client.ts";
import { openPool, type Pool } from "../../services/platform/database/pool.ts";
import { withDeadline } from "../../services/platform/deadline.ts";
import type { Journals } from "./checker/journals.ts";
import { compileCache } from "./compile-cache.ts";
import { projectRoot } from "./ffmpeg.ts";

export type FarmOptions = {
  /** Arguments after `up --json`; ephemeral when absent. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Where clients and programs write what they saw, for the checker; the farm's client is journaled then. */
  readonly journals?: Journals;
};

export type TestFarm = {
  /** The process of `up` itself. */
  readonly process: ChildProcess;
  readonly address: string;
  readonly dataFolder: string;
  readonly client: FarmClient;
  /** What it was when it was ready. */
  readonly description: FarmFile;
  /** What runs now, as the endpoint file says: processes that were started again have other numbers. */
  running(): Promise<FarmFile>;
  /** What `up` has said so far. */
  readonly notes: readonly string[];
  /** Resolves once `up` has said something that matches, now or before. */
  said(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Rows of a query on the farm's own database. */
  sql<Row extends Record<string, unknown>>(query: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  log(name: string): Promise<string>;
  /** SIGTERM, and how it ended; safe to call twice. */
  stop(): Promise<number | null>;
};

const startMs = 90_000;
const stopMs = 40_000;

/** The environment of a program under test: nothing of the caller's farm. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(VAPFARM_|DATABASE_URL$|NATS_URL$|NODE_|VITEST)/.test(name));
  const { VAPFARM_FFMPEG: ffmpeg, VAPFARM_NATS_SERVER: nats } = process.env;
  return {
    ...Object.fromEntries(kept),
    ...(ffmpeg === undefined ? {} : { VAPFARM_FFMPEG: ffmpeg }),
    ...(nats === undefined ? {} : { VAPFARM_NATS_SERVER: nats }),
    ...compileCache,
    ...extra,
  };
}

/** Starts `up` and returns once the farm answers; a start that fails rejects with what it said. */
export async function startTestFarm(options: FarmOptions = {}): Promise<TestFarm> {
  const child = spawn(join(projectRoot, "vapfarm"), ["up", "--json", ...(options.args ?? ["--ephemeral"])], {
    env: cleanEnvironment({ ...options.journals?.environment, ...options.environment }),
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const output = new UpOutput(child);
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  try {
    const ready = await withDeadline(output.ready, { ms: startMs, what: "the start of the test farm" });
    return assemble(child, { ended, output, ready, journals: options.journals });
  } catch (thrown) {
    child.kill("SIGTERM");
    await ended;
    throw thrown;
  }
}

type Ready = FarmFile & { readonly kind: string; readonly dataFolder: string };
type Parts = {
  readonly ended: Promise<number | null>;
  readonly output: UpOutput;
  readonly ready: Ready;
  readonly journals: Journals | undefined;
};

function assemble(child: ChildProcess, { ended, output, ready, journals }: Parts): TestFarm {
  const layout = layoutOf(ready.dataFolder);
  const client = journals?.connect(ready.grpcAddress) ?? connectFarm({ address: ready.grpcAddress, origin: "the test's farm" });
  let pool: Pool | undefined;
  return {
    process: child,
    address: ready.grpcAddress,
    dataFolder: ready.dataFolder,
    client,
    description: ready,
    running: async () => (await readFarmFile(layout.farmFile)) ?? ready,
    notes: output.notes,
    said: (pattern, timeoutMs = 30_000) => withDeadline(output.said(pattern), { ms: timeoutMs, what: `a note like ${String(pattern)}` }),
    async sql<Row extends Record<string, unknown>>(query: string, values: readonly unknown[] = []) {
      pool ??= openPool({ url: ready.databaseUrl, applicationName: "vapfarm-test", connections: 2 });
      return (await pool.query<Row>(query, [...values])).rows;
    },
    log: (name) => readFile(join(layout.logs, `${name}.log`), "utf8"),
    async stop() {
      client.close();
      await pool?.end();
      pool = undefined;
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      return withDeadline(ended, { ms: stopMs, what: "the end of the test farm" });
    },
  };
}

/** Reads the JSON lines of `up`. */
class UpOutput {
  readonly notes: string[] = [];
  readonly ready: Promise<Ready>;
  readonly #waiting = new Set<() => void>();
  readonly #errors: string[] = [];

  constructor(child: ChildProcess) {
    const ready = Promise.withResolvers<Ready>();
    this.ready = ready.promise;
    // Awaited by the caller, perhaps later than it fails.
    ready.promise.catch(() => undefined);
    if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => this.#take(line, ready.resolve));
    if (child.stderr !== null) createInterface({ input: child.stderr }).on("line", (line) => this.#errors.push(line));
    child.once("exit", (code) =>
      ready.reject(new TypeError(`up ended with ${String(code)}: ${[...this.notes, ...this.#errors].join("; ")}`)),
    );
  }

  #take(line: string, onReady: (ready: Ready) => void): void {
    const message = JSON.parse(line) as { readonly kind?: string; readonly text?: string };
    if (message.kind === "ready") onReady(message as Ready);
    this.notes.push(message.text ?? line);
    for (const wake of this.#waiting) wake();
  }

  said(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.notes.find((note) => pattern.test(note));
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
