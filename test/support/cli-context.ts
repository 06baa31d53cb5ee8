/**
 * The CLI within the test's own process: what it writes is kept, and the terminal is what the test says.
 */
import { join } from "node:path";
import { coloured, plain } from "../../services/cli/colour.ts";
import type { CliContext } from "../../services/cli/context.ts";
import type { ExitCode } from "../../services/cli/exit-codes.ts";
import { runCommandLine } from "../../services/cli/program.ts";
import { createToJson } from "../../services/cli/proto-json.ts";
import { projectRoot } from "./ffmpeg.ts";

export type PlayedTerminal = { readonly columns: number; readonly rows: number; readonly hasColour?: boolean };

export type PlayedCli = {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** As Ctrl-C. */
  interrupt(): void;
  /** Resolves once stdout holds the text. */
  printed(text: string): Promise<void>;
  /** The same of stderr. */
  noted(text: string): Promise<void>;
  run(...args: readonly string[]): Promise<ExitCode>;
};

/** A CLI whose stdout is a terminal of that size, or a pipe when there is none. */
export function playCli(environment: Readonly<Record<string, string>> = {}, terminal?: PlayedTerminal): PlayedCli {
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  const take = (text: string | Uint8Array): void => {
    stdout += typeof text === "string" ? text : Buffer.from(text).toString("latin1");
    for (const look of watchers) look();
  };
  const takeNote = (text: string): void => {
    stderr += text;
    for (const look of watchers) look();
  };
  const holds = (read: () => string, text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!read().includes(text)) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  const interrupted = new AbortController();
  const json = (value: unknown): string =>
    `${JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? each.toString() : each))}\n`;
  const context: CliContext = {
    environment,
    output: {
      line: (text = "") => take(`${text}\n`),
      note: (text) => takeNote(`${text}\n`),
      json: (value) => take(json(value)),
      jsonNote: (value) => takeNote(json(value)),
      write(text) {
        take(text);
        return Promise.resolve();
      },
      paint: terminal?.hasColour === true ? coloured : plain,
      paintNote: plain,
      screen: {
        isTerminal: terminal !== undefined,
        columns: () => terminal?.columns,
        rows: () => terminal?.rows,
        onResize: () => () => undefined,
      },
      isTty: false,
      errorStream: process.stderr,
    },
    toJson: createToJson(join(projectRoot, "services/gen/farm.binpb")),
    interrupts: { signal: interrupted.signal, take: () => () => undefined },
    projectFolder: projectRoot,
    workingFolder: projectRoot,
    canAsk: false,
  };
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    interrupt: () => interrupted.abort(),
    printed: (text) => holds(() => stdout, text),
    noted: (text) => holds(() => stderr, text),
    run: (...args) => runCommandLine(args, context),
  };
}
