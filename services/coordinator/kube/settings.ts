/**
 * The setting VAPFARM_SCALING, and where the Kubernetes API is. Pure.
 */
import { isIPv6 } from "node:net";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import type { ScalingRule } from "../../domain/scaling.ts";
import type { ScaleTarget } from "./cluster.ts";

const milliseconds = z
  .number()
  .int()
  .nonnegative()
  .max(30 * 24 * 3600 * 1000);
const workers = z.number().int().nonnegative().max(10_000);
/** Names of objects and namespaces, as Kubernetes has them. */
const objectName = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "must be a name as Kubernetes has it");

const scaledPool = z
  .strictObject({
    name: z.string().min(1),
    kind: z.enum(["Deployment", "StatefulSet"]).default("Deployment"),
    object: objectName.optional(),
    min: workers.default(0),
    max: workers.min(1),
    targetWaitMs: milliseconds.min(1_000).default(120_000),
    downAfterMs: milliseconds.default(300_000),
    idleMs: milliseconds.default(600_000),
    loadMs: milliseconds.default(120_000),
    probeMs: milliseconds.default(3_600_000),
  })
  .refine(({ min, max }) => min <= max, "min must be at most max")
  .transform(({ name, kind, object, ...rule }): ScaledPool => ({
    name,
    rule,
    target: object === undefined ? undefined : { kind, name: object },
  }));

export type ScaledPool = {
  readonly name: string;
  readonly rule: ScalingRule;
  /** What is scaled; undefined: the number is only told. */
  readonly target: ScaleTarget | undefined;
};

/** What VAPFARM_SCALING holds. */
export const scalingSchema = z
  .strictObject({
    namespace: objectName.optional(),
    watchNodes: z.boolean().default(true),
    unknownTaskMs: milliseconds.min(1).default(30_000),
    pools: z.array(scaledPool).min(1),
  })
  .refine(({ pools }) => new Set(pools.map(({ name }) => name)).size === pools.length, "pools must have distinct names")
  .refine(
    ({ namespace, pools }) => namespace !== undefined || pools.every(({ target }) => target === undefined),
    "objects can only be scaled in a namespace",
  );

export type ScalingSettings = z.output<typeof scalingSchema>;

export const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

export type ApiSettings = {
  readonly VAPFARM_KUBE_API?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
};

/** Where the API answers: as set, else as every pod is told. */
export function apiAddress(settings: ApiSettings): string {
  const { VAPFARM_KUBE_API: own, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = settings;
  if (own !== undefined) return own;
  if (host === undefined || port === undefined) {
    const message = "VAPFARM_SCALING names a namespace, but this is no pod: set VAPFARM_KUBE_API and VAPFARM_KUBE_ACCOUNT";
    throw new FarmError("CONFIG_INVALID", { message });
  }
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
