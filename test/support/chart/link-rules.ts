/**
 * What must be true between the objects of the chart: whatever names another finds it.
 */
import { containersOf, includesLabels, type KubeObject, type Labels, ofKind, type Pod, podsOf } from "./objects.ts";

type Selecting = { readonly selector?: { readonly matchLabels?: Labels } };
type ServiceSpec = { readonly selector: Labels; readonly ports: readonly { readonly name: string; readonly targetPort: string }[] };
type Backend = { readonly service: { readonly name: string; readonly port: { readonly name: string } } };
type IngressSpec = { readonly rules: readonly { readonly http: { readonly paths: readonly { readonly backend: Backend }[] } }[] };
type MonitorSpec = Selecting & {
  readonly endpoints?: readonly { readonly port: string }[];
  readonly podMetricsEndpoints?: readonly { readonly port: string }[];
};

/** What is wrong between objects, each with its place. `given` are the names of Secrets, ConfigMaps and claims that values brought. */
export function linkFaults(objects: readonly KubeObject[], given: ReadonlySet<string>): readonly string[] {
  return [
    ...nameFaults(objects),
    ...workloadFaults(objects),
    ...serviceFaults(objects),
    ...ofKind(objects, "PodDisruptionBudget").flatMap((budget) => selectsOne(budget, podsOf(objects))),
    ...ofKind(objects, "Ingress").flatMap((ingress) => ingressFaults(ingress, objects)),
    ...monitorFaults(objects),
    ...referenceFaults(objects, given),
    ...roleFaults(objects),
  ];
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Names that fit, also with what Kubernetes appends to them in labels (11 characters), each once. */
function nameFaults(objects: readonly KubeObject[]): readonly string[] {
  const keys = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  return [
    ...keys.filter((key, index) => keys.indexOf(key) !== index).map((key) => `${key} stands twice`),
    ...objects
      .filter(({ metadata }) => !dnsLabel.test(metadata.name) || metadata.name.length > 52)
      .map(({ metadata }) => `${metadata.name} is no name`),
    ...objects.flatMap(({ metadata }) =>
      Object.entries(metadata.labels ?? {})
        .filter(([, value]) => !labelValue.test(value))
        .map(([label, value]) => `${metadata.name}: ${label} cannot be ${value}`),
    ),
    ...objects.filter(({ metadata }) => "namespace" in metadata).map(({ metadata }) => `${metadata.name} is of another namespace`),
  ];
}

function selectorOf({ spec }: KubeObject): Labels {
  return (spec as Selecting).selector?.matchLabels ?? {};
}

/** Each finds its own pods and nobody else's. */
function workloadFaults(objects: readonly KubeObject[]): readonly string[] {
  const pods = podsOf(objects);
  const workloads = pods.filter(({ owner }) => owner.kind !== "Job");
  return workloads.flatMap(({ owner }) => {
    const found = pods.filter(({ labels }) => includesLabels(labels, selectorOf(owner)));
    return found.length === 1 && found[0]?.owner === owner ? [] : [`${owner.metadata.name} selects ${found.length} kinds of pods`];
  });
}

function selectsOne(object: KubeObject, pods: readonly Pod[]): readonly string[] {
  const found = pods.filter(({ labels }) => includesLabels(labels, selectorOf(object)));
  return found.length === 1 ? [] : [`${object.kind} ${object.metadata.name} selects ${found.length} kinds of pods`];
}

function portsOf(pods: readonly Pod[]): readonly string[] {
  return pods.flatMap(({ spec }) => spec.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name)));
}

function serviceFaults(objects: readonly KubeObject[]): readonly string[] {
  return ofKind(objects, "Service").flatMap(({ metadata, spec }) => {
    const { selector, ports } = spec as ServiceSpec;
    const pods = podsOf(objects).filter(({ labels }) => includesLabels(labels, selector));
    const missing = ports.filter(({ targetPort }) => !portsOf(pods).includes(targetPort));
    return [
      ...(pods.length === 1 ? [] : [`Service ${metadata.name} leads to ${pods.length} kinds of pods`]),
      ...missing.map(({ targetPort }) => `Service ${metadata.name}: its pods have no port ${targetPort}`),
    ];
  });
}

function ingressFaults({ metadata, spec }: KubeObject, objects: readonly KubeObject[]): readonly string[] {
  const backends = (spec as IngressSpec).rules.flatMap(({ http }) => http.paths.map(({ backend }) => backend.service));
  const isThere = ({ name, port }: Backend["service"]): boolean =>
    ofKind(objects, "Service").some(
      (service) => service.metadata.name === name && (service.spec as ServiceSpec).ports.some((each) => each.name === port.name),
    );
  return backends.filter((backend) => !isThere(backend)).map(({ name }) => `Ingress ${metadata.name} leads to ${name}, which is not there`);
}

/** Each pod is scraped once. */
function monitorFaults(objects: readonly KubeObject[]): readonly string[] {
  const services = ofKind(objects, "ServiceMonitor").flatMap(({ metadata, spec }) => {
    const { endpoints = [] } = spec as MonitorSpec;
    const found = ofKind(objects, "Service").filter((service) =>
      includesLabels(service.metadata.labels ?? {}, (spec as Selecting).selector?.matchLabels ?? {}),
    );
    const ports = found.flatMap((service) => (service.spec as ServiceSpec).ports.map(({ name }) => name));
    return found.length === 1 && endpoints.every(({ port }) => ports.includes(port))
      ? []
      : [`ServiceMonitor ${metadata.name} finds ${found.length} Services`];
  });
  const pods = ofKind(objects, "PodMonitor").flatMap(({ metadata, spec }) => {
    const { podMetricsEndpoints = [], selector } = spec as MonitorSpec;
    const found = podsOf(objects).filter(({ labels }) => includesLabels(labels, selector?.matchLabels ?? {}));
    return found.every((pod) => podMetricsEndpoints.every(({ port }) => portsOf([pod]).includes(port)))
      ? []
      : [`PodMonitor ${metadata.name}: a pod has no such port`];
  });
  return [...services, ...pods];
}

/** Secrets, ConfigMaps and claims that pods name are made by the chart, with that key, or brought by values. */
function referenceFaults(objects: readonly KubeObject[], given: ReadonlySet<string>): readonly string[] {
  const hasKey = (name: string, key: string): boolean =>
    ofKind(objects, "Secret").some(({ metadata, stringData }) => metadata.name === name && key in (stringData as object));
  const has = (kind: string, name: string): boolean => ofKind(objects, kind).some(({ metadata }) => metadata.name === name);
  return podsOf(objects).flatMap(({ owner, spec }) => {
    const secrets = containersOf(spec).flatMap(({ env = [] }) =>
      env.map(({ valueFrom }) => valueFrom?.secretKeyRef).filter((ref) => ref !== undefined),
    );
    const claims = (spec.volumes ?? []).flatMap(
      ({ persistentVolumeClaim }) => (persistentVolumeClaim as { claimName: string } | undefined)?.claimName ?? [],
    );
    const maps = (spec.volumes ?? []).flatMap(({ configMap }) => (configMap as { name: string } | undefined)?.name ?? []);
    const missing = [
      ...secrets.filter(({ name, key }) => !given.has(name) && !hasKey(name, key)).map(({ name, key }) => `Secret ${name} with ${key}`),
      ...claims.filter((name) => !given.has(name) && !has("PersistentVolumeClaim", name)).map((name) => `claim ${name}`),
      ...maps.filter((name) => !has("ConfigMap", name)).map((name) => `ConfigMap ${name}`),
    ];
    return missing.map((what) => `${owner.metadata.name} names a ${what} that is not there`);
  });
}

type Rule = {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
};

/** Nothing more than scaling needs: what services/coordinator/kube/client.ts calls. */
function roleFaults(objects: readonly KubeObject[]): readonly string[] {
  const deployments = ofKind(objects, "Deployment").map(({ metadata }) => metadata.name);
  const scales = JSON.stringify(ofKind(objects, "Role")).includes("deployments/scale");
  const isNeeded = (kind: string, { apiGroups, resources, resourceNames = [], verbs }: Rule): boolean => {
    const asked = `${kind} ${apiGroups.join()} ${resources.join()} ${verbs.toSorted().join()}`;
    if (asked === (scales ? "Role  pods list,patch,watch" : "Role  pods list,watch") || asked === "ClusterRole  nodes list,watch")
      return resourceNames.length === 0;
    const isNamed = resourceNames.length > 0 && resourceNames.every((name) => deployments.includes(name));
    return asked === "Role apps deployments/scale get,update" && isNamed;
  };
  const roles = [...ofKind(objects, "Role"), ...ofKind(objects, "ClusterRole")];
  return roles.flatMap(({ kind, rules }) =>
    (rules as readonly Rule[]).filter((rule) => !isNeeded(kind, rule)).map((rule) => `a role may ${JSON.stringify(rule)}`),
  );
}
