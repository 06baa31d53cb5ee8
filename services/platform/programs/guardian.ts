/**
 * Programs that never outlive the process that started them.
 *
 * A guardian shell between us and the program waits on our end of its pipe: when that closes, a SIGKILL of ours included, it ends the
 * program with the signal that the program takes for an orderly end. The pair has a process group of its own, so a Ctrl-C reaches it only through us.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export type Guarded = {
  /** Program and its arguments. */
  readonly command: readonly string[];
  readonly endSignal: "INT" | "TERM";
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
};

/** The guardian: closing its standard input ends the program, its exit is the program's. */
export type Guardian = ChildProcessByStdio<Writable, null, Readable>;

/** Starts the program under its guardian; its standard output is dropped. */
export function spawnGuarded({ command, endSignal, account }: Guarded): Guardian {
  const script = `exec 3<&0; "$@" </dev/null & p=$!; (cat <&3 >/dev/null; kill -${endSignal} $p 2>/dev/null) & exec 3<&-; wait $p`;
  const child = spawn("/bin/sh", ["-c", script, "sh", ...command], {
    ...account,
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
  });
  // A guardian's pipe that broke says nothing that its exit does not.
  child.stdin.on("error", () => undefined);
  return child;
}
