/**
 * Objects against the official schemas (those of Kubernetes, the Prometheus operator and KEDA), field names included.
 *
 * Those schemas leave unknown fields alone, as an API server prunes or refuses them later. But a compiled schema reads each field that it
 * knows, and only those: an object that notes what was read of it tells which of its fields nobody knows.
 */
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { Deployment, StatefulSet } from "kubernetes-models/apps/v1";
import { Job } from "kubernetes-models/batch/v1";
import { Ingress, NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1";
import { ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount } from "kubernetes-models/v1";
import { PodMonitor, PrometheusRule, ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import type { KubeObject } from "./objects.ts";

type Schema = { readonly apiVersion: string; readonly kind: string; readonly prototype: { validate(): void } };

const schemas = new Map<string, Schema>(
  [Deployment, StatefulSet, Job, Ingress, NetworkPolicy, PodDisruptionBudget, Role, RoleBinding, ConfigMap, PersistentVolumeClaim]
    .map((schema): Schema => schema)
    .concat([
      ClusterRole,
      ClusterRoleBinding,
      Secret,
      Service,
      ServiceAccount,
      PodMonitor,
      PrometheusRule,
      ServiceMonitor,
      HorizontalPodAutoscaler,
      ScaledObject,
    ])
    .map((schema) => [`${schema.apiVersion} ${schema.kind}`, schema]),
);

/** What is wrong with an object, each with its place; empty: nothing. */
export function faultsOf(object: KubeObject): readonly string[] {
  const what = `${object.kind} ${object.metadata.name}`;
  const schema = schemas.get(`${object.apiVersion} ${object.kind}`);
  if (schema === undefined) return [`${what}: no schema for ${object.apiVersion} ${object.kind}`];
  const read = new Set<string>();
  try {
    schema.prototype.validate.call(noting(object, "", read));
  } catch (thrown) {
    return [`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
  }
  return unread(object, "", read).map((path) => `${what}: ${path} is no field of it`);
}

/** The same value, which notes the paths that are read of it. */
function noting(value: unknown, path: string, read: Set<string>): unknown {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key, receiver) {
      const field: unknown = Reflect.get(target, key, receiver);
      if (typeof key !== "string" || !Object.hasOwn(target, key)) return field;
      read.add(`${path}.${key}`);
      return noting(field, `${path}.${key}`, read);
    },
  });
}

function unread(value: unknown, path: string, read: ReadonlySet<string>): readonly string[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const here = `${path}.${key}`;
    return read.has(here) ? unread(field, here, read) : [here];
  });
}
