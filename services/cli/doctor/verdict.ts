/**
 * What a check says: how it stands, what was found, and how to mend it.
 *
 * A check is two halves: `run` looks and never decides, `judge` decides and never looks. So each verdict is a row of a test's table.
 */
import type { CliContext } from "../context.ts";
import type { DataLayout, FarmFile } from "../data-folder.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";

/** How a part stands. */
export type Status = "ok" | "warn" | "fail" | "skip";

/** One line of the report. */
export type Verdict = {
  readonly name: string;
  readonly status: Status;
  /** For people: what is so. */
  readonly found: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly remedy: string;
};

/** What is looked at: this machine, and the farm that it names, if any. */
export type Patient = {
  readonly context: CliContext;
  readonly layout: DataLayout;
  /** Of a farm of this machine that runs. */
  readonly farm: FarmFile | undefined;
  readonly databaseUrl: string | undefined;
  readonly natsUrl: string | undefined;
  readonly modelsFolder: string;
  /** Address of the store. */
  readonly artifacts: string | undefined;
  readonly artifactsFolder: string | undefined;
  readonly cacheFolder: string;
  /** Whether files of models are hashed too. */
  readonly isDeep: boolean;
};

/** One part that is looked at. */
export type Check = {
  /** The part that it is about. */
  readonly name: string;
  run(patient: Patient): Promise<readonly Verdict[]>;
};

/** All is well. */
export function ok(name: string, found: string): Verdict {
  return { name, status: "ok", found, remedy: "" };
}

/** It works, and will not always, or not as well as it could. */
export function warn(name: string, found: string, remedy: string): Verdict {
  return { name, status: "warn", found, remedy };
}

/** It does not work. */
export function fail(name: string, found: string, remedy: string): Verdict {
  return { name, status: "fail", found, remedy };
}

/** It was not looked at, and why. */
export function skip(name: string, found: string, remedy = ""): Verdict {
  return { name, status: "skip", found, remedy };
}

/** Warnings end with 0: a farm can work with them. */
export function exitCodeOfVerdicts(verdicts: readonly Verdict[]): ExitCode {
  return verdicts.some(({ status }) => status === "fail") ? exitCodes.failed : exitCodes.ok;
}
