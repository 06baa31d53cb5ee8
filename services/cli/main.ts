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

// Whoever reads the output may have seen enough, as `head` does: that is no failure. A full disk is one.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.ok);
    if (stream === process.stdout) process.stderr.write(`error: the output cannot be written: ${error.message}\n`);
    process.exit(exitCodes.failed);
  });
}

/** Resolves once everything is written; a write that failed ends the process before. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => setImmediate(resolve)));
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
  const code = await runCommandLine(process.argv.slice(2), context);
  await flushed(process.stdout);
  process.exit(code);
} catch (thrown) {
  reportError(context.output, toFarmError(thrown), false);
  process.exit(exitCodes.failed);
}
