/**
 * `vapfarm models` and `vapfarm model`: what renders can name; the commands of versions below it.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Model, type ModelEngine } from "../../gen/proto/vapfarm/v1/operator.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { bytesText } from "../../domain/bytes-text.ts";
import { aliasCommand } from "./models/alias.ts";
import { gcCommand } from "./models/gc.ts";
import { pullCommand } from "./models/pull.ts";
import { pushCommand } from "./models/push.ts";
import { verifyCommand } from "./models/verify.ts";
import { versionsCommand } from "./models/versions.ts";

type ModelsOptions = FarmOptions & JsonOption;

const listText = {
  name: "models",
  group: "operate",
  summary: "list the farm's models; push, pull and name versions",
  description: "Lists the models that renders can name, and how many live workers hold each.",
  examples: ["vapfarm models", "vapfarm models --json | jq -r '.models[].name'", "vapfarm models push models/vap-cogvideox --alias prod"],
} as const;
const oneText = {
  name: "model",
  group: "operate",
  summary: "show a model",
  description: "Shows a model: its sizes, what a render gets that leaves a setting out, its engines.",
  examples: ["vapfarm model demo", "vapfarm model demo --json | jq .defaults"],
} as const;

/** Adds the command. */
export function modelsCommand(context: CliContext, finish: Finish): Command {
  const command = withFarmOptions(describeCommand(listText))
    .action(onFarm<ModelsOptions>(context, finish, listModels))
    .enablePositionalOptions();
  for (const add of [versionsCommand, aliasCommand, pushCommand, pullCommand, verifyCommand, gcCommand])
    command.addCommand(add(context, finish));
  return command;
}

/** Adds the command. */
export function modelCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(oneText))
    .argument("<name>", "model, such as demo")
    .action(onFarm<ModelsOptions>(context, finish, showModel));
}

async function listModels(call: FarmCall<ModelsOptions>): Promise<ExitCode> {
  const { client, context } = call;
  const { screen, paint } = context.output;
  const items = () => eachOf(client.calls.listModels({}).then(({ models }) => models));
  const table = (models: readonly Model[]): string => renderTable(models, modelColumns, { width: screen.columns(), paint });
  return showList(call, { name: "models", codec: Model, items, table });
}

const modelColumns: readonly Column<Model>[] = [
  { title: "model", cell: ({ name }) => name, weight: 9 },
  { title: "version", cell: versionText, weight: 4 },
  { title: "variant", cell: ({ variant }) => variant, weight: 3 },
  { title: "weights", cell: ({ weights }) => weights, weight: 6 },
  { title: "size", cell: ({ width, height }) => `${width}x${height}`, weight: 7 },
  { title: "frames", cell: ({ frames }) => String(frames), weight: 6, align: "right" },
  { title: "fps", cell: ({ fps }) => String(fps), weight: 2, align: "right" },
  { title: "steps", cell: ({ defaults }) => String(defaults?.steps ?? ""), weight: 2, align: "right" },
  { title: "pool", cell: ({ pool }) => pool, weight: 3 },
  { title: "workers", cell: ({ workers }) => String(workers), weight: 8, align: "right" },
];

/** Of a plain folder what its export says; of what was pushed the version that is named now. */
function versionText({ name, version, reference, aliases }: Model): string {
  if (reference === "" || reference === name) return version;
  const pinned = reference.slice(name.length + 1);
  return aliases.length === 0 ? pinned : `${pinned} (${aliases.join(", ")})`;
}

async function showModel({ context, client, options, args: [name = ""] }: FarmCall<ModelsOptions>): Promise<undefined> {
  const model = present((await client.calls.getModel({ name })).model, "model");
  if (options.json === true) context.output.json(context.toJson(Model, model));
  else printModel(context.output, model);
}

function printModel(output: Output, model: Model): void {
  output.line(
    plainText(`model ${model.name} ${versionText(model)} (${model.variant}), ${model.weights} weights, on ${model.workers} live workers`),
  );
  const references = model.maxReferences === 1 ? "exactly 1 reference" : `1 to ${model.maxReferences} references`;
  output.line(`${model.width}x${model.height}, ${model.frames} frames at ${model.fps} fps, ${references}, pool ${model.pool}`);
  const { defaults } = model;
  if (defaults !== undefined) {
    const dynamic = defaults.dynamicGuidance ? ", dynamic" : "";
    output.line(
      plainText(
        `defaults: ${defaults.steps} steps, guidance ${defaults.guidanceScale}${dynamic}, scheduler ${defaults.scheduler} (of ${model.schedulers.join(", ")})`,
      ),
    );
    if (defaults.negativePrompt !== "") output.line(plainText(`negative prompt: ${defaults.negativePrompt}`));
  }
  output.line(renderTable(model.engines, engineColumns, { width: output.screen.columns(), paint: output.paint }));
}

const engineColumns: readonly Column<ModelEngine>[] = [
  { title: "engine", cell: ({ name }) => name, weight: 9 },
  { title: "stage", cell: ({ stage }) => stage, weight: 8 },
  { title: "precision", cell: ({ precision }) => precision, weight: 5 },
  { title: "memory", cell: ({ memoryBytes }) => bytesText(Number(memoryBytes)), weight: 6, align: "right" },
  { title: "digest", cell: ({ digest }) => digest, weight: 1, least: 12 },
];
