/**
 * The real vapfarm command in a real terminal, 80x24 unless said otherwise: Python's pty module makes one, since Node has none.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { cleanEnvironment } from "./farm.ts";
import { projectRoot } from "./ffmpeg.ts";

export type TerminalRun = {
  /** Everything that the terminal was sent so far, escape sequences included. */
  shown(): string;
  /** Resolves once what came after the last `press` or `resize` matches. */
  shows(pattern: RegExp): Promise<void>;
  press(keys: string): void;
  resize(columns: number, lines: number): void;
  /** SIGTERM to the whole: the terminal's end. */
  end(): void;
  readonly code: Promise<number | null>;
};

/** Starts the command in a terminal. */
export function startInTerminal(args: readonly string[], environment: Readonly<Record<string, string>> = {}): TerminalRun {
  const program = [join(import.meta.dirname, "terminal.py"), "80", "24", join(projectRoot, "vapfarm"), ...args];
  const child = spawn("python3", program, {
    env: cleanEnvironment({ TERM: "xterm-256color", ...environment }),
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let from = 0;
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString("utf8");
    for (const watch of watchers) watch();
  });
  const send = (data: string): void => {
    from = shown.length;
    child.stdin.write(data);
  };
  return {
    shown: () => shown,
    shows: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!pattern.test(shown.slice(from))) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
    press: send,
    resize: (columns, lines) => send(`\0resize ${columns} ${lines}\0`),
    end: () => void child.kill("SIGTERM"),
    code: once(child, "close").then(([code]) => code as number | null),
  };
}
