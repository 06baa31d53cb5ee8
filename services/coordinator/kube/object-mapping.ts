/**
 * Objects of the Kubernetes API → what this coordinator looks at. Read without trust: what is missing or of another form counts as not said.
 */
import { z } from "zod";
import type { ClusterNode, ClusterPod } from "./cluster.ts";

/** Labels and the annotation that the farm and its chart agree on. */
export const poolLabel = "vapfarm.io/pool";
export const workerSelector = "app.kubernetes.io/name=vapfarm,app.kubernetes.io/component=worker";
export const deletionCostAnnotation = "controller.kubernetes.io/pod-deletion-cost";

/** The typed client makes dates of what a watch has as text. */
const time = z
  .union([z.string(), z.date()])
  .transform((value) => new Date(value).getTime())
  .refine((ms) => !Number.isNaN(ms))
  .optional()
  .catch(undefined);
const texts = z.record(z.string(), z.string()).default({}).catch({});
const metadata = z.object({
  name: z.string().min(1),
  resourceVersion: z.string().default(""),
  labels: texts,
  annotations: texts,
  creationTimestamp: time,
  deletionTimestamp: time,
});
const condition = z.object({ type: z.string(), status: z.string(), reason: z.string().default(""), message: z.string().default("") });
const conditions = z.array(condition).default([]).catch([]);
const ended = z.object({ exitCode: z.number(), reason: z.string().default("") });
const container = z.object({
  restartCount: z.number().default(0),
  state: z.object({ running: z.object({ startedAt: time }).optional(), terminated: ended.optional() }).default({}),
});
const pod = z.object({
  metadata,
  spec: z.object({ nodeName: z.string().optional() }).default({}),
  status: z
    .object({
      phase: z.string().default(""),
      reason: z.string().default(""),
      conditions,
      containerStatuses: z.array(container).default([]).catch([]),
    })
    .default({ phase: "", reason: "", conditions: [], containerStatuses: [] }),
});
const node = z.object({
  metadata,
  spec: z.object({ taints: z.array(z.object({ key: z.string() })).default([]) }).default({ taints: [] }),
  status: z.object({ conditions }).default({ conditions: [] }),
});

/** What a list has around its items. */
export type Mapped<T> = { readonly item: T; readonly resourceVersion: string };

/** Undefined: no pod, or of no pool. */
export function podFromKube(object: unknown): Mapped<ClusterPod> | undefined {
  const found = pod.safeParse(object).data;
  const pool = found?.metadata.labels[poolLabel];
  if (found === undefined || pool === undefined) return undefined;
  const { metadata: about, spec, status } = found;
  const target = status.conditions.find(({ type, status: is }) => type === "DisruptionTarget" && is === "True");
  const [first] = status.containerStatuses;
  const over = status.containerStatuses.flatMap(({ state }) => state.terminated ?? []);
  return {
    resourceVersion: about.resourceVersion,
    item: {
      name: about.name,
      pool,
      node: spec.nodeName,
      createdAtMs: about.creationTimestamp ?? 0,
      startedAtMs: first?.restartCount === 0 ? first.state.running?.startedAt : undefined,
      isDeleting: about.deletionTimestamp !== undefined,
      endsAtMs: about.deletionTimestamp,
      deletionCost: costFrom(about.annotations[deletionCostAnnotation]),
      disruption: target && { reason: target.reason, message: target.message },
      phase: status.phase,
      statusReason: status.reason,
      ended: over.find(({ reason }) => reason === "OOMKilled") ?? over[0],
    },
  };
}

/** Undefined: no node. */
export function nodeFromKube(object: unknown): Mapped<ClusterNode> | undefined {
  const found = node.safeParse(object).data;
  if (found === undefined) return undefined;
  const ready = found.status.conditions.find(({ type }) => type === "Ready");
  return {
    resourceVersion: found.metadata.resourceVersion,
    item: {
      name: found.metadata.name,
      // One that says nothing of itself is new.
      isReady: ready === undefined || ready.status === "True",
      taints: found.spec.taints.map(({ key }) => key),
    },
  };
}

/** The version that an object of any kind has, and its name. */
export function versionOf(object: unknown): { readonly name: string; readonly resourceVersion: string } | undefined {
  return z.object({ metadata }).safeParse(object).data?.metadata;
}

function costFrom(text: string | undefined): number | undefined {
  return text !== undefined && /^[+-]?\d{1,10}$/.test(text) ? Number(text) : undefined;
}
