/**
 * Which farm a command talks to: --address, else VAPFARM_ADDRESS, else the endpoint file of the data folder.
 */
import { FarmError } from "../domain/errors.ts";
import type { CliContext } from "./context.ts";
import { dataFolderOf, layoutOf, readFarmFile } from "./data-folder.ts";
import { type FarmClient, type FarmEndpoint, openFarmClient } from "./farm-client.ts";

export type FarmOptions = { readonly address?: string; readonly data?: string };

/** COORDINATOR_UNAVAILABLE when no farm is named and none runs on the data folder. */
export async function findFarm(context: CliContext, options: FarmOptions): Promise<FarmEndpoint> {
  const { environment } = context;
  const token = environment["VAPFARM_TOKEN"] === "" ? undefined : environment["VAPFARM_TOKEN"];
  if (options.address !== undefined) return { address: options.address, origin: "--address", token };
  const fromEnvironment = environment["VAPFARM_ADDRESS"];
  if (options.data === undefined && fromEnvironment !== undefined && fromEnvironment !== "") {
    return { address: fromEnvironment, origin: "VAPFARM_ADDRESS", token };
  }
  const { folder, farmFile } = layoutOf(dataFolderOf(options.data, environment));
  const farm = await readFarmFile(farmFile);
  if (farm !== undefined) return { address: farm.grpcAddress, origin: farmFile, token };
  throw new FarmError("COORDINATOR_UNAVAILABLE", {
    message: `no farm runs on ${folder}, and none was named`,
    details: { remedy: "start a farm with `vapfarm up`, or name one with --address or VAPFARM_ADDRESS" },
  });
}

/** Runs with a client and closes it afterwards. */
export async function withFarm<T>(context: CliContext, options: FarmOptions, use: (client: FarmClient) => Promise<T>): Promise<T> {
  const client = openFarmClient(await findFarm(context, options));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
