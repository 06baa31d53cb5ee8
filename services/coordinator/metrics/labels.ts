/**
 * The closed sets that labels of the coordinator's metrics are from. What a worker or a row says and no set has is `other`.
 */
import { errorTable } from "../../domain/errors.ts";
import { retryTable } from "../../domain/retry.ts";
import { stageNames } from "../../domain/stage.ts";

export const classes = ["production", "benchmark"] as const;
export const stages: readonly string[] = stageNames;
export const errorClasses = Object.keys(retryTable);

/** How a call or an ask ends. */
export const codes: ReadonlySet<string> = new Set(["OK", ...Object.keys(errorTable)]);

/** What becomes of an attempt. */
export const attemptOutcomes: ReadonlySet<string> = new Set(["succeeded", "superseded", "abandoned", ...Object.keys(errorTable)]);
