/**
 * The clock: leases and deadlines hang on clocks that run alike; signed addresses on clocks that show the same time.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Check, ok, skip, type Verdict, warn } from "../verdict.ts";

/** Another machine's clock beside ours. */
export type ClockFindings = {
  /** Theirs minus ours. */
  readonly offsetMs: number;
  /** How long the question took. */
  readonly uncertaintyMs: number;
};

const runFile = promisify(execFile);
const mostMs = 2_000;

/** Pure. */
export function judgeClock(name: string, { offsetMs, uncertaintyMs }: ClockFindings): Verdict {
  const ahead = Math.round(offsetMs);
  const found = `${Math.abs(ahead)} ms ${ahead < 0 ? "behind" : "ahead of"} this machine's (known to ${Math.ceil(uncertaintyMs)} ms)`;
  if (Math.abs(offsetMs) - uncertaintyMs <= mostMs) return ok(name, found);
  return warn(name, found, "let both machines follow a time server (chrony, systemd-timesyncd)");
}

/** Pure; undefined: it cannot be told here. */
export function judgeNtp(isSynchronized: boolean | undefined): Verdict {
  if (isSynchronized === undefined) return skip("time server", "whether this machine follows one cannot be told");
  if (isSynchronized) return ok("time server", "this machine follows one");
  return warn("time server", "this machine follows none", "enable chrony or systemd-timesyncd (`timedatectl set-ntp true`)");
}

/** Asks this machine whether it follows a time server. */
export const clockCheck: Check = {
  name: "clock",
  async run() {
    const answer = await runFile("timedatectl", ["show", "-p", "NTPSynchronized", "--value"], { timeout: 3_000 }).catch(() => undefined);
    const said = answer?.stdout.trim();
    return [judgeNtp(said === "yes" ? true : said === "no" ? false : undefined)];
  },
};
