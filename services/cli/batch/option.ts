/**
 * `--file` beside the options of one render: either a batch, whose renders stand in the file, or one render with all that it needs.
 */
import type { Command } from "commander";
import { FarmError } from "../../domain/errors.ts";
import type { BatchOptions } from "./run.ts";

/** Adds what `render --file` understands. */
export function withBatchOptions(command: Command): Command {
  return command
    .option("--file <file>", "many renders, from a YAML, JSON or JSON lines file (- is stdin); see demo/renders.yaml")
    .option("--dry-run", "with --file: upload and check everything, submit nothing");
}

/** What one render cannot do without; a batch has it in its file. */
const needed = ["model", "image", "prompt"];
const batchNames: ReadonlySet<string> = new Set([
  "file",
  "dryRun",
  "out",
  "idempotencyKey",
  "detach",
  "json",
  "address",
  "context",
  "data",
]);

const localNames: ReadonlySet<string> = new Set(["local", "models", "threads"]);

function remedyOf(name: string): string {
  if (localNames.has(name)) return "without a farm, renders are made one at a time: give each its own options instead of --file";
  return name.startsWith("webhook") ? "write `webhook` with `url` and `secret_file` into the file" : "write it into the file";
}

/**
 * The batch that the options name, undefined when they name one render. FIELD_INVALID for an option of one render beside `--file`, and
 * for one that is missing without it.
 */
export function batchOptionsOf(command: Command, options: Partial<BatchOptions> & { readonly out: string }): BatchOptions | undefined {
  const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === "cli");
  const { file } = options;
  const wrong = file === undefined ? needed.filter((name) => !given.some((option) => option.attributeName() === name)) : [];
  const missing = wrong.map((name) => ({ field: `--${name}`, reason: "is missing", remedy: "give it, or --file for a file of renders" }));
  const beside = given
    .filter((option) => file !== undefined && !batchNames.has(option.attributeName()))
    .map((option) => ({ field: option.long ?? "", reason: "cannot stand beside --file", remedy: remedyOf(option.attributeName()) }));
  const fields = [...missing, ...beside];
  if (fields.length > 0) {
    throw new FarmError("FIELD_INVALID", {
      message: fields.map(({ field, reason }) => `${field} ${reason}`).join("; "),
      details: { fields },
    });
  }
  return file === undefined ? undefined : { ...options, file };
}
