/**
 * `vapfarm version`: the release of this command, and of the farm that it talks to.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { toFarmError } from "../../domain/errors.ts";
import { describeCommand, type Finish, type JsonOption, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";

type VersionOptions = FarmOptions & JsonOption;

const text = {
  name: "version",
  group: "settings",
  summary: "print the versions of this command and of the farm",
  description: "Prints the release of this command and of the coordinator that answers. No farm is no failure.",
  examples: ["vapfarm version", "vapfarm --version", "vapfarm version --json | jq -r .client"],
} as const;

const askMs = 5_000;
const packageSchema = z.object({ version: z.string() });

/** Adds the command. */
export function versionCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text)).action(async (options: VersionOptions) =>
    finish(await runBody(context, () => printVersions(context, options), options)),
  );
}

async function printVersions(context: CliContext, options: VersionOptions): Promise<ExitCode> {
  const { output } = context;
  const { version: client } = packageSchema.parse(JSON.parse(await readFile(join(context.projectFolder, "package.json"), "utf8")));
  const farm = await askFarm(context, options);
  if (options.json === true) {
    output.json({ client, ...farm });
    return exitCodes.ok;
  }
  output.line(`vapfarm ${client}`);
  output.line("farm" in farm ? `farm ${farm.farm.name} ${farm.farm.version} at ${farm.farm.address}` : `farm: ${farm.problem}`);
  return exitCodes.ok;
}

type FarmVersion =
  { readonly farm: { readonly name: string; readonly version: string; readonly address: string } } | { readonly problem: string };

async function askFarm(context: CliContext, options: VersionOptions): Promise<FarmVersion> {
  try {
    return await withFarm(context, options, async (client) => {
      const { farm } = await client.calls.getFarm({}, { deadlineMs: askMs, signal: context.interrupts.signal });
      return { farm: { name: farm?.name ?? "", version: farm?.version ?? "", address: client.endpoint.address } };
    });
  } catch (thrown) {
    return { problem: toFarmError(thrown).message };
  }
}
