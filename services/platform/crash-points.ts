/**
 * Crash points: named places at which a process kills itself, so that tests can show that a crash right there loses nothing.
 *
 * For tests only: nothing happens unless VAPFARM_CRASH_AT names a point of the program, and a name that is none keeps it from starting.
 */

/** Called where a point lies. */
export type CrashPoint<Name extends string> = (name: Name) => void;

/** Ends the process with SIGKILL at that point: no line after it runs, nothing is flushed or told. */
export function crashPoint<Name extends string>(at: Name | undefined): CrashPoint<Name> {
  return (name) => {
    if (name === at) process.kill(process.pid, "SIGKILL");
  };
}
