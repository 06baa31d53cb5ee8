/**
 * The controllers that make and take pods: as many as a Deployment or StatefulSet asks for, and those first that the real ones take first.
 *
 * Nothing is taken at once: a pod that is deleted has its grace, and is gone when its process has ended, which the test says (or ties to a real one).
 */
import type { KubeApi } from "./api-server.ts";
import type { KubeObject } from "./objects.ts";

export type Controlled = {
  /** Names of pods that were deleted by the controllers, in order. */
  readonly deleted: readonly string[];
  /** The pod runs and is ready. */
  run(pod: string, node?: string): void;
  /** The pod's process has ended: it is gone. */
  end(pod: string): void;
  /** Names of the pods that are not being deleted. */
  pods(): readonly string[];
  stop(): void;
};

export type PoolObject = { readonly kind: "deployments" | "statefulsets"; readonly name: string; readonly pool: string };

const costAnnotation = "controller.kubernetes.io/pod-deletion-cost";

/** Watches over the objects from now on; pods end at once unless `graceful`. */
export function controlReplicas({ objects }: KubeApi, pools: readonly PoolObject[], { graceful = false } = {}): Controlled {
  const deleted: string[] = [];
  let born = 0;
  const ofPool = (pool: string): readonly KubeObject[] =>
    objects.list("pods").filter(({ metadata }) => metadata.labels["vapfarm.io/pool"] === pool && metadata.deletionTimestamp === undefined);
  const remove = (name: string): void => {
    deleted.push(name);
    if (!graceful) return objects.remove("pods", name);
    objects.change("pods", name, ({ metadata }) => {
      metadata.deletionTimestamp = new Date(Date.now() + 60_000).toISOString();
    });
  };
  const nextName = ({ kind, name, pool }: PoolObject): string => {
    const taken = new Set(objects.list("pods").map(({ metadata }) => metadata.name));
    if (kind === "deployments") return `${name}-${(born += 1).toString().padStart(4, "0")}`;
    const free = Array.from({ length: ofPool(pool).length + 2 }, (_, ordinal) => `${name}-${ordinal}`).find((each) => !taken.has(each));
    return free ?? `${name}-x`;
  };
  const reconcile = (): void => {
    for (const each of pools) {
      const wanted = Number(objects.get(each.kind, each.name)?.spec["replicas"] ?? 0);
      const pods = ofPool(each.pool);
      for (let count = pods.length; count < wanted; count += 1) {
        const labels = { "app.kubernetes.io/name": "vapfarm", "app.kubernetes.io/component": "worker", "vapfarm.io/pool": each.pool };
        objects.create("pods", { name: nextName(each), labels, status: { phase: "Pending" } });
      }
      const order = each.kind === "statefulsets" ? byOrdinal(pods) : byCost(pods);
      for (const pod of order.slice(0, Math.max(0, pods.length - wanted))) remove(pod.metadata.name);
    }
  };
  // What it does itself is a change too.
  let isBusy = false;
  const look = (): void => {
    if (isBusy) return;
    isBusy = true;
    reconcile();
    isBusy = false;
  };
  const stop = objects.onChange((kind) => {
    if (kind !== "nodes") look();
  });
  look();
  return {
    deleted,
    run: (name, node = "node-1") =>
      void objects.change("pods", name, (pod) => {
        const startedAt = new Date().toISOString();
        pod.spec = { nodeName: node };
        pod.status = {
          phase: "Running",
          conditions: [{ type: "Ready", status: "True" }],
          containerStatuses: [{ name: "worker", restartCount: 0, ready: true, state: { running: { startedAt } } }],
        };
      }),
    end: (name) => objects.remove("pods", name),
    pods: () => pools.flatMap(({ pool }) => ofPool(pool).map(({ metadata }) => metadata.name)),
    stop,
  };
}

/** Not placed, then not running, then not ready, then by deletion cost, then the youngest. */
function byCost(pods: readonly KubeObject[]): readonly KubeObject[] {
  const keyOf = ({ spec, status, metadata }: KubeObject): readonly number[] => [
    Number(spec["nodeName"] !== undefined),
    Number(status["phase"] === "Running"),
    Number(isReady(status)),
    Number(metadata.annotations[costAnnotation] ?? 0),
    -Number(metadata.uid.slice("uid-".length)),
  ];
  return pods.toSorted((left, right) => {
    const [a, b] = [keyOf(left), keyOf(right)];
    const at = a.findIndex((value, index) => value !== b[index]);
    return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
  });
}

function isReady({ conditions }: KubeObject["status"]): boolean {
  const told = (conditions ?? []) as readonly { readonly type: string; readonly status: string }[];
  return told.some(({ type, status }) => type === "Ready" && status === "True");
}

function byOrdinal(pods: readonly KubeObject[]): readonly KubeObject[] {
  const ordinal = ({ metadata }: KubeObject): number => Number(metadata.name.split("-").at(-1));
  return pods.toSorted((left, right) => ordinal(right) - ordinal(left));
}
