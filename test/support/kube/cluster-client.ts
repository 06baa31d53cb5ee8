/**
 * The real client against the stand-in, with waits that a test can wait for.
 */
import { createClusterClient, type ClientTimings } from "../../../services/coordinator/kube/client.ts";
import type { Cluster } from "../../../services/coordinator/kube/cluster.ts";
import { type KubeApi, namespace } from "./api-server.ts";

export type TestClient = { readonly cluster: Cluster; readonly answers: string[] };

export const quickTimings: Partial<ClientTimings> = { requestMs: 400, firstWaitMs: 5, mostWaitMs: 40, silenceMs: 400, pageSize: 2 };

export function connectKube(
  { address, accountFolder }: Pick<KubeApi, "address" | "accountFolder">,
  timings: Partial<ClientTimings> = {},
): TestClient {
  const answers: string[] = [];
  const cluster = createClusterClient({
    server: address,
    accountFolder,
    namespace,
    version: "test",
    onAnswer: ({ verb, code }) => void answers.push(`${verb} ${code}`),
    timings: { ...quickTimings, ...timings },
  });
  return { cluster, answers };
}
