/**
 * The vapfarm CLI's process: the only place of the CLI that reads `process`.
 */
import { fileURLToPath } from "node:url";
import { toFarmError } from "../domain/errors.ts";
import type { CliContext } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { createInterrupts } from "./interrupts.ts";
import { createOutput } from "./output.ts";
import { runCommandLine } from "./program.ts";
import { createToJson } from "./proto-json.ts";
import { reportError } from "./report-error.ts";

// Whoever reads the output may have seen enough, as `head` does: that is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.ok);
    throw error;
  });
}

const context: CliContext = {
  environment: process.env,
  output: createOutput(process, process.env),
  interrupts: createInterrupts(process),
  toJson: createToJson(fileURLToPath(new URL("../gen/farm.binpb", import.meta.url))),
  projectFolder: fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""),
  workingFolder: process.cwd(),
  canAsk: process.stdin.isTTY && process.stderr.isTTY,
};

try {
  process.exit(await runCommandLine(process.argv.slice(2), context));
} catch (thrown) {
  reportError(context.output, toFarmError(thrown), false);
  process.exit(exitCodes.failed);
}
