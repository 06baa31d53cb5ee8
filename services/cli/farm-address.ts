/**
 * Which farm a command talks to: --address, --context, --data, VAPFARM_ADDRESS, VAPFARM_CONTEXT, the current context, the farm of the
 * data folder; the first that is there. What a person types counts before what the environment says.
 */
import { connectFarm, type FarmClient, type FarmEndpoint } from "../client/farm-client.ts";
import { FarmError } from "../domain/errors.ts";
import { traceparentOf } from "../platform/tracing/trace-context.ts";
import { callersTrace } from "./command-trace.ts";
import type { CliContext } from "./context.ts";
import { configPath, contextOf, readConfig, tokenOf } from "./contexts/config-file.ts";
import { dataFolderOf, layoutOf, readFarmFile } from "./data-folder.ts";

/** Which farm a command asks. */
export type FarmOptions = {
  readonly address?: string;
  readonly context?: string;
  readonly data?: string;
  /** What the command's calls are a part of, instead of the caller's own trace. */
  readonly traceparent?: string;
};

const remedy = "start a farm with `vapfarm up`, or name one with --address, VAPFARM_ADDRESS or a context (`vapfarm config --help`)";

/** COORDINATOR_UNAVAILABLE when no farm is named and none runs on the data folder. */
export async function findFarm(context: CliContext, options: FarmOptions): Promise<FarmEndpoint> {
  const token = setting(context, "VAPFARM_TOKEN");
  if (options.address !== undefined) return { address: requireAddress("--address", options.address), origin: "--address", token, remedy };
  if (options.context !== undefined || options.data === undefined) {
    const address = setting(context, "VAPFARM_ADDRESS");
    if (address !== undefined && options.context === undefined) {
      return { address: requireAddress("VAPFARM_ADDRESS", address), origin: "VAPFARM_ADDRESS", token, remedy };
    }
    const named = await fromContext(context, options);
    if (named !== undefined) return named;
  }
  const { folder, farmFile } = layoutOf(dataFolderOf(options.data, context.environment));
  const farm = await readFarmFile(farmFile);
  if (farm !== undefined) return { address: farm.grpcAddress, origin: farmFile, token, remedy };
  throw new FarmError("COORDINATOR_UNAVAILABLE", { message: `no farm runs on ${folder}, and none was named`, details: { remedy } });
}

/** The text itself; FIELD_INVALID naming where it came from unless it is `host:port` or `unix:/path`. */
export function requireAddress(origin: string, text: string): string {
  const port = /^(?:[^\s:/]+|\[[\da-f:.]+\]):(\d{1,5})$/i.exec(text)?.[1];
  if (/^unix:\/./.test(text) || (port !== undefined && Number(port) <= 65_535)) return text;
  const field = { field: origin, reason: `"${text.slice(0, 80)}" is not host:port`, remedy: "for example 127.0.0.1:7443" };
  throw new FarmError("FIELD_INVALID", { message: `${origin}: ${field.reason}`, details: { fields: [field] } });
}

function setting({ environment }: CliContext, name: string): string | undefined {
  const value = environment[name];
  return value === "" ? undefined : value;
}

async function fromContext(context: CliContext, options: FarmOptions): Promise<FarmEndpoint | undefined> {
  const asked = options.context ?? setting(context, "VAPFARM_CONTEXT");
  const config = await readConfig(configPath(context.environment));
  const name = asked ?? config.currentContext;
  if (name === undefined) return undefined;
  const farm = contextOf(config, name);
  const token = (await tokenOf(farm, context.environment)) ?? setting(context, "VAPFARM_TOKEN");
  return { address: farm.address, origin: `context ${name}`, token, remedy };
}

/** A client of the farm that the options name; whoever opens it closes it. */
export async function openFarm(context: CliContext, options: FarmOptions): Promise<FarmClient> {
  const caller = callersTrace(context);
  const traceparent = options.traceparent ?? (caller === undefined ? undefined : traceparentOf(caller));
  return connectFarm({ ...(await findFarm(context, options)), traceparent });
}

/** Runs with a client and closes it afterwards. */
export async function withFarm<T>(context: CliContext, options: FarmOptions, use: (client: FarmClient) => Promise<T>): Promise<T> {
  const client = await openFarm(context, options);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
