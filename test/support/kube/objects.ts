/**
 * The objects of a cluster in memory, as its API keeps them: one version that only grows, checked writes, a history that can be compacted.
 */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  metadata: {
    readonly name: string;
    readonly uid: string;
    resourceVersion: string;
    creationTimestamp: string;
    deletionTimestamp?: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  };
  spec: Record<string, unknown>;
  status: Record<string, unknown>;
};

export type ObjectKind = "pods" | "nodes" | "deployments" | "statefulsets";
export type Change = { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly version: number; readonly object: KubeObject };
export type Listener = (kind: ObjectKind, change: Change) => void;

const kinds: Readonly<Record<ObjectKind, readonly [string, string]>> = {
  pods: ["v1", "Pod"],
  nodes: ["v1", "Node"],
  deployments: ["apps/v1", "Deployment"],
  statefulsets: ["apps/v1", "StatefulSet"],
};

type Draft = {
  readonly name: string;
  readonly labels?: Record<string, string>;
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
};

/** One namespace, and the nodes. */
export class KubeObjects {
  private readonly stored: Record<ObjectKind, Map<string, KubeObject>> = {
    pods: new Map(),
    nodes: new Map(),
    deployments: new Map(),
    statefulsets: new Map(),
  };
  private readonly changes: Record<ObjectKind, Change[]> = { pods: [], nodes: [], deployments: [], statefulsets: [] };
  private readonly listeners = new Set<Listener>();
  private now = 100;
  private compactedTo = 0;
  private born = 0;

  get version(): number {
    return this.now;
  }

  get(kind: ObjectKind, name: string): KubeObject | undefined {
    return this.stored[kind].get(name);
  }

  /** By name, as an API lists. */
  list(kind: ObjectKind): readonly KubeObject[] {
    return [...this.stored[kind].values()].sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  }

  create(kind: ObjectKind, { name, labels = {}, spec = {}, status = {} }: Draft): KubeObject {
    if (this.stored[kind].has(name)) throw new TypeError(`${kind} ${name} exists`);
    const [apiVersion, of] = kinds[kind];
    this.born += 1;
    const object: KubeObject = {
      apiVersion,
      kind: of,
      metadata: {
        name,
        uid: `uid-${this.born}`,
        resourceVersion: "",
        creationTimestamp: new Date().toISOString(),
        labels,
        annotations: {},
      },
      spec,
      status,
    };
    return this.commit(kind, "ADDED", object);
  }

  /** Changes a copy, so that what was handed out before stays as it was. */
  change(kind: ObjectKind, name: string, edit: (object: KubeObject) => void): KubeObject {
    const object = structuredClone(this.mustGet(kind, name));
    edit(object);
    return this.commit(kind, "MODIFIED", object);
  }

  remove(kind: ObjectKind, name: string): void {
    const object = this.stored[kind].get(name);
    if (object !== undefined) this.commit(kind, "DELETED", structuredClone(object));
  }

  /** What came after a version; undefined when that is too old to tell. */
  since(kind: ObjectKind, version: number): readonly Change[] | undefined {
    return version < this.compactedTo ? undefined : this.changes[kind].filter((change) => change.version > version);
  }

  /** Forgets the history, as etcd does after some minutes. */
  compact(): void {
    this.now += 1;
    this.compactedTo = this.now;
  }

  onChange(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private mustGet(kind: ObjectKind, name: string): KubeObject {
    const object = this.stored[kind].get(name);
    if (object === undefined) throw new TypeError(`no ${kind} ${name}`);
    return object;
  }

  private commit(kind: ObjectKind, type: Change["type"], object: KubeObject): KubeObject {
    this.now += 1;
    object.metadata.resourceVersion = String(this.now);
    if (type === "DELETED") this.stored[kind].delete(object.metadata.name);
    else this.stored[kind].set(object.metadata.name, object);
    const change: Change = { type, version: this.now, object: structuredClone(object) };
    this.changes[kind].push(change);
    for (const listener of this.listeners) listener(kind, change);
    return object;
  }
}
