/**
 * The cluster of a coordinator's settings. The client is loaded only here, and only where a namespace is set: it is a large package.
 */
import type { Cluster } from "./cluster.ts";
import { apiAddress, type ApiSettings, type ScalingSettings } from "./settings.ts";

/** Told of each answer of the API. */
export type OpenCluster = (onAnswer: (answer: { readonly verb: string; readonly code: number }) => void) => Cluster;

type Settings = ApiSettings & { readonly VAPFARM_KUBE_ACCOUNT: string; readonly VAPFARM_SCALING?: ScalingSettings | undefined };

/** Undefined: pools are not scaled, or their numbers are only told. Nothing is asked yet. */
export async function loadCluster(settings: Settings, version: string): Promise<OpenCluster | undefined> {
  const namespace = settings.VAPFARM_SCALING?.namespace;
  if (namespace === undefined) return undefined;
  const server = apiAddress(settings);
  const { createClusterClient } = await import("./client.ts");
  return (onAnswer) => createClusterClient({ server, accountFolder: settings.VAPFARM_KUBE_ACCOUNT, namespace, version, onAnswer });
}
