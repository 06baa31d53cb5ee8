/**
 * As much of an API server as helm asks when it renders with a cluster at hand: what kinds there are, and what is there already.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeObject } from "./objects.ts";

export type Cluster = { readonly kubeconfig: string; stop(): Promise<void> };

const kinds: Readonly<Record<string, readonly string[]>> = {
  v1: ["Secret", "Service", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim"],
  "apps/v1": ["Deployment", "StatefulSet"],
  "batch/v1": ["Job"],
  "policy/v1": ["PodDisruptionBudget"],
  "networking.k8s.io/v1": ["NetworkPolicy", "Ingress"],
  "rbac.authorization.k8s.io/v1": ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
};

function pluralOf(kind: string): string {
  return kind === "NetworkPolicy" ? "networkpolicies" : kind === "Ingress" ? "ingresses" : `${kind.toLowerCase()}s`;
}

/** A cluster in which these objects are, all in one namespace. */
export async function startCluster(objects: readonly KubeObject[], namespace: string): Promise<Cluster> {
  const answers = new Map<string, object>([
    ["/version", { major: "1", minor: "34", gitVersion: "v1.34.0" }],
    ["/api", { kind: "APIVersions", versions: ["v1"] }],
    ["/apis", { kind: "APIGroupList", apiVersion: "v1", groups: Object.keys(kinds).filter(isGroup).map(groupOf) }],
    ...Object.keys(kinds).map((version): [string, object] => [pathOf(version), resourcesOf(version)]),
    ...objects.map((object): [string, object] => [
      `${pathOf(object.apiVersion)}/namespaces/${namespace}/${pluralOf(object.kind)}/${object.metadata.name}`,
      object,
    ]),
  ]);
  const missing = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 };
  const server = createServer(({ url = "" }, response) => {
    const found = answers.get(url.split("?")[0] ?? "");
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? missing));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-cluster-"));
  const kubeconfig = join(folder, "config");
  await writeFile(kubeconfig, JSON.stringify(configOf(server.address() as AddressInfo)));
  return {
    kubeconfig,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

function isGroup(version: string): boolean {
  return version.includes("/");
}

function pathOf(version: string): string {
  return isGroup(version) ? `/apis/${version}` : `/api/${version}`;
}

function groupOf(groupVersion: string): object {
  const [name, version] = groupVersion.split("/");
  return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
}

function resourcesOf(groupVersion: string): object {
  const resources = (kinds[groupVersion] ?? []).map((kind) => ({
    name: pluralOf(kind),
    singularName: "",
    namespaced: !kind.startsWith("Cluster"),
    kind,
    verbs: ["get"],
  }));
  return { kind: "APIResourceList", groupVersion, resources };
}

function configOf({ port }: AddressInfo): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "it", cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: "it", user: {} }],
    contexts: [{ name: "it", context: { cluster: "it", user: "it" } }],
    "current-context": "it",
  };
}
