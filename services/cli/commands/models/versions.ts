/**
 * `vapfarm models versions`: what was pushed, what names it, who holds it.
 */
import type { Command } from "commander";
import { bytesText } from "../../../domain/bytes-text.ts";
import { pinnedReference } from "../../../domain/model-reference.ts";
import { ModelVersion } from "../../../gen/proto/vapfarm/v1/models.ts";
import { timeTexts } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { ExitCode } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { eachOf, showList } from "../../json-list.ts";
import { plainText, renderTable } from "../../table.ts";

type VersionsOptions = FarmOptions & JsonOption;

const text = {
  name: "versions",
  summary: "list versions of models that were pushed",
  description: "Lists versions with the aliases that name them, the live jobs that are pinned to them, and the live workers that hold them.",
  examples: ["vapfarm models versions", "vapfarm models versions cog --json | jq -r '.versions[0].version'"],
} as const;

/** Adds the command. */
export function versionsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("[model]", "only its versions")
    .action(onFarm<VersionsOptions>(context, finish, listVersions));
}

async function listVersions(call: FarmCall<VersionsOptions>): Promise<ExitCode> {
  const items = () => eachOf(call.client.calls.listModelVersions({ name: call.args[0] ?? "" }).then(({ versions }) => versions));
  return showList(call, { name: "versions", codec: ModelVersion, items, table: (versions) => versionTable(call.context, versions, call.args[0]) });
}

/** Where there is none, of a model where one was named. */
export function noVersionText(name: string | undefined): string {
  return name === undefined || name === "" ? "no model was pushed" : plainText(`no version of ${name} was pushed`);
}

function versionTable({ output: { screen, paint } }: CliContext, versions: readonly ModelVersion[], name: string | undefined): string {
  if (versions.length === 0) return noVersionText(name);
  const time = timeTexts(screen.isTerminal, new Date());
  return renderTable(
    versions,
    [
      { title: "version", cell: ({ name, version }) => pinnedReference(name, version), weight: 9 },
      { title: "label", cell: ({ label }) => label, weight: 3 },
      { title: "size", cell: ({ sizeBytes }) => bytesText(Number(sizeBytes)), weight: 6, align: "right" },
      { title: "aliases", cell: ({ aliases }) => aliases.join(", "), weight: 8 },
      { title: "jobs", cell: ({ liveJobs }) => String(liveJobs), weight: 6, align: "right" },
      { title: "workers", cell: ({ workers }) => String(workers), weight: 6, align: "right" },
      { title: "pool", cell: ({ pool }) => pool, weight: 4 },
      { title: "pushed", cell: ({ ready, pushTime }) => (ready ? time(pushTime) : "being pushed"), weight: 5 },
    ],
    { width: screen.columns(), paint },
  );
}
