/**
 * `vapfarm config`: the farms that a person talks to, by name.
 */
import { Command } from "commander";
import { invalidOption } from "../ages.ts";
import { describeCommand, type Finish, helpGroups, type JsonOption, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import {
  configPath,
  type ContextConfig,
  contextOf,
  type FarmContext,
  readConfig,
  requireContextName,
  writeConfig,
} from "../contexts/config-file.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { requireAddress } from "../farm-address.ts";
import { renderTable } from "../table.ts";

type SetOptions = JsonOption & {
  readonly address?: string;
  readonly token?: string;
  readonly tokenEnvironment?: string;
  readonly tokenFile?: string;
  readonly use?: boolean;
};
type ConfigCall<O> = {
  readonly context: CliContext;
  readonly options: O;
  readonly name: string;
  readonly path: string;
  readonly config: ContextConfig;
};

/** Adds the command. */
export function configCommand(context: CliContext, finish: Finish): Command {
  const command = new Command("config")
    .helpGroup(helpGroups.settings)
    .summary("name farms, and choose which one to talk to")
    .description(
      "Names farms as contexts, kept in $XDG_CONFIG_HOME/vapfarm/config.json (or VAPFARM_CONFIG). Every other command takes --context.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ vapfarm config set-context studio --address farm.example:7400 --token-file ~/.vapfarm-token --use\n  $ vapfarm config use-context studio",
    )
    .action(() => command.help());
  for (const each of subcommands(context, finish)) command.addCommand(each);
  return command;
}

function subcommands(context: CliContext, finish: Finish): readonly Command[] {
  const run =
    <O extends JsonOption>(body: (call: ConfigCall<O>) => Promise<void> | void) =>
    async (...given: unknown[]): Promise<void> => {
      const command = given.at(-1) as Command;
      const options = command.opts<O>();
      const path = configPath(context.environment);
      const call = async (): Promise<ExitCode> => {
        await body({ context, options, name: command.args[0] ?? "", path, config: await readConfig(path) });
        return exitCodes.ok;
      };
      finish(await runBody(context, call, options));
    };
  return [
    describe("get-contexts", "list the contexts", "vapfarm config get-contexts").action(run(listContexts)),
    describe("current-context", "print the current context", "vapfarm config current-context").action(run(printCurrent)),
    describe("use-context", "make a context the current one", "vapfarm config use-context studio")
      .argument("<name>", "context")
      .action(run(useContext)),
    describe("set-context", "make or change a context", "vapfarm config set-context studio --address farm.example:7400")
      .argument("<name>", "context")
      .option("--address <host:port>", "the farm's gRPC address")
      .option("--token <token>", "kept in the file, which only you can read")
      .option("--token-environment <name>", "environment variable that holds the token")
      .option("--token-file <path>", "file that holds the token")
      .option("--use", "make it the current one")
      .action(run(setContext)),
    describe("delete-context", "forget a context", "vapfarm config delete-context studio")
      .argument("<name>", "context")
      .action(run(deleteContext)),
    describe("view", "print the whole configuration, without tokens", "vapfarm config view --json").action(run(viewConfig)),
  ];
}

function describe(name: string, summary: string, example: string): Command {
  const description = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  return describeCommand({ name, summary, description, examples: [example] });
}

function listContexts({ context: { output }, options, config }: ConfigCall<JsonOption>): void {
  const rows = Object.entries(config.contexts).map(([name, farm]) => ({
    name,
    ...redacted(farm),
    isCurrent: name === config.currentContext,
  }));
  if (options.json === true) {
    output.json({ contexts: rows });
    return;
  }
  const columns = [
    { title: "current", cell: ({ isCurrent }: (typeof rows)[number]) => (isCurrent ? "*" : ""), weight: 7 },
    { title: "name", cell: ({ name }: (typeof rows)[number]) => name, weight: 9 },
    { title: "address", cell: ({ address }: (typeof rows)[number]) => address, weight: 8 },
    { title: "token", cell: ({ token }: (typeof rows)[number]) => token ?? "", weight: 5 },
  ];
  output.line(rows.length === 0 ? "no contexts" : renderTable(rows, columns, { width: output.screen.columns(), paint: output.paint }));
}

function printCurrent({ context: { output }, options, config }: ConfigCall<JsonOption>): void {
  if (config.currentContext === undefined) {
    throw invalidOption("context", "there is no current context", "choose one with `vapfarm config use-context`");
  }
  if (options.json === true) output.json({ currentContext: config.currentContext });
  else output.line(config.currentContext);
}

async function useContext({ context: { output }, options, name, path, config }: ConfigCall<JsonOption>): Promise<void> {
  contextOf(config, name);
  await writeConfig(path, { ...config, currentContext: name });
  if (options.json === true) output.json({ currentContext: name });
  else output.line(`${name} is the current context`);
}

async function setContext({ context: { output }, options, name, path, config }: ConfigCall<SetOptions>): Promise<void> {
  requireContextName(name);
  const farm = changed(Object.hasOwn(config.contexts, name) ? config.contexts[name] : undefined, options);
  const current = options.use === true ? { currentContext: name } : {};
  await writeConfig(path, { ...config, ...current, contexts: { ...config.contexts, [name]: farm } });
  if (options.json === true) output.json({ name, ...redacted(farm) });
  else output.line(`context ${name} is ${farm.address}`);
}

/** A new place for the token takes the place of the old one. */
function changed(before: FarmContext | undefined, options: SetOptions): FarmContext {
  const address = options.address ?? before?.address;
  if (address === undefined) throw invalidOption("--address", "a new context needs one", "give the farm's gRPC address");
  requireAddress("--address", address);
  const { token, tokenEnvironment, tokenFile } = options;
  const given = [token, tokenEnvironment, tokenFile].filter((each) => each !== undefined).length;
  if (given > 1) throw invalidOption("--token", "the token is given twice", "give one of --token, --token-environment and --token-file");
  if (given === 0) return { ...before, address };
  if (token !== undefined) return { address, token };
  return tokenEnvironment === undefined ? { address, ...(tokenFile === undefined ? {} : { tokenFile }) } : { address, tokenEnvironment };
}

async function deleteContext({ context: { output }, options, name, path, config }: ConfigCall<JsonOption>): Promise<void> {
  contextOf(config, name);
  const contexts = Object.fromEntries(Object.entries(config.contexts).filter(([each]) => each !== name));
  const { currentContext, ...rest } = config;
  const kept = currentContext === undefined || currentContext === name ? rest : { ...rest, currentContext };
  await writeConfig(path, { ...kept, contexts });
  if (options.json === true) output.json({ deleted: name });
  else output.line(`context ${name} is forgotten`);
}

function viewConfig({ context: { output }, options, path, config }: ConfigCall<JsonOption>): void {
  const contexts = Object.fromEntries(Object.entries(config.contexts).map(([name, farm]) => [name, redacted(farm)]));
  if (options.json === true) output.json({ ...config, contexts });
  else output.line(`# ${path}\n${JSON.stringify({ ...config, contexts }, undefined, 2)}`);
}

function redacted(farm: FarmContext): FarmContext {
  return farm.token === undefined ? farm : { ...farm, token: "[redacted]" };
}
