/**
 * Kubernetes objects as tests read them: what Helm rendered, and the pods in it.
 */
import { parseAllDocuments } from "yaml";
import { chartFolder, runHelm } from "../helm.ts";

export type Labels = Readonly<Record<string, string>>;

export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
};

export type EnvironmentEntry = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: { readonly containerName: string; readonly resource: string; readonly divisor: string };
  };
};

export type Probe = { readonly httpGet?: { readonly path: string; readonly port: string | number } };

export type Container = {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly EnvironmentEntry[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources?: { readonly requests?: Readonly<Record<string, unknown>>; readonly limits?: Readonly<Record<string, unknown>> };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
};

export type PodSpec = {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly ({ readonly name: string } & Readonly<Record<string, unknown>>)[];
  readonly [field: string]: unknown;
};

/** A pod that an object makes. */
export type Pod = { readonly owner: KubeObject; readonly labels: Labels; readonly spec: PodSpec; readonly claims: readonly string[] };

type Template = { readonly metadata: { readonly labels?: Labels }; readonly spec: PodSpec };
type Workload = {
  readonly template?: Template;
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
};

/** Values, as a values file holds them. */
export type Values = Readonly<Record<string, unknown>>;

export type RenderOptions = {
  readonly release?: string;
  readonly namespace?: string;
  readonly chart?: string;
  /** Files of values that come before `values`. */
  readonly files?: readonly string[];
  /** Of a cluster that is asked what is there already; none is otherwise. */
  readonly kubeconfig?: string;
};

/** What `helm template` says of these values. */
export async function template(values: Values, options: RenderOptions = {}) {
  const { release = "farm", namespace = "render", chart = chartFolder, files = [], kubeconfig } = options;
  const cluster = kubeconfig === undefined ? [] : ["--dry-run=server", "--disable-openapi-validation", "--kubeconfig", kubeconfig];
  const given = [...files, "-"].flatMap((path) => ["-f", path]);
  return runHelm(["template", release, chart, "--namespace", namespace, ...cluster, ...given], JSON.stringify(values));
}

/** The objects of these values; what Helm refuses is thrown as it says it. */
export async function render(values: Values, options: RenderOptions = {}): Promise<readonly KubeObject[]> {
  const { code, stdout, stderr } = await template(values, options);
  if (code !== 0) throw new TypeError(`helm template failed: ${stderr}`);
  return parseObjects(stdout);
}

/** Documents of YAML; a name that stands twice in a mapping is an error. */
export function parseObjects(text: string): readonly KubeObject[] {
  const documents = parseAllDocuments(text);
  if ("empty" in documents) return [];
  for (const { errors } of documents) if (errors[0] !== undefined) throw errors[0];
  return documents.map((document) => document.toJS() as KubeObject | null).filter((object) => object !== null);
}

/** Every pod that the objects make. */
export function podsOf(objects: readonly KubeObject[]): readonly Pod[] {
  return objects.flatMap((owner) => {
    const { template: pod, volumeClaimTemplates = [] } = (owner.spec ?? {}) as Workload;
    if (pod === undefined) return [];
    const claims = volumeClaimTemplates.map(({ metadata }) => metadata.name);
    return [{ owner, labels: pod.metadata.labels ?? {}, spec: pod.spec, claims }];
  });
}

/** Init containers too. */
export function containersOf({ initContainers = [], containers }: PodSpec): readonly Container[] {
  return [...initContainers, ...containers];
}

/** Objects of a kind. */
export function ofKind(objects: readonly KubeObject[], kind: string): readonly KubeObject[] {
  return objects.filter((object) => object.kind === kind);
}

/** The object of a kind whose component (and pool) this is; a test that finds none fails. */
export function theOne(objects: readonly KubeObject[], kind: string, has: Labels): KubeObject {
  const found = ofKind(objects, kind).filter(({ metadata }) => includesLabels(metadata.labels ?? {}, has));
  if (found[0] === undefined || found.length > 1) throw new TypeError(`${found.length} objects are a ${kind} with ${JSON.stringify(has)}`);
  return found[0];
}

/** The pod of a component (and pool). */
export function thePod(objects: readonly KubeObject[], has: Labels): Pod {
  const found = podsOf(objects).filter(({ labels }) => includesLabels(labels, has));
  if (found[0] === undefined || found.length > 1) throw new TypeError(`${found.length} pods have ${JSON.stringify(has)}`);
  return found[0];
}

/** Whether labels are all there. */
export function includesLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
