/**
 * The environment that a container gets, as its program reads it; what comes from a Secret is played.
 */
import type { Container, EnvironmentEntry, Pod } from "./objects.ts";

/** By the variable: what a Secret would hold. */
const played: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://user:password@database:5432/vapfarm",
  NATS_URL: "nats://user:password@nats:4222",
  VAPFARM_CALLERS: JSON.stringify([{ token: "a-token-that-is-long-enough", tenant: "studio", role: "admin" }]),
};

/** Variable → value of a container of a pod. */
export function environmentOf(pod: Pod, containerName: string): Readonly<Record<string, string>> {
  const container = pod.spec.containers.find(({ name }) => name === containerName);
  if (container === undefined) throw new TypeError(`the pod has no container ${containerName}`);
  const names = (container.env ?? []).map(({ name }) => name);
  if (new Set(names).size !== names.length) throw new TypeError(`a variable stands twice: ${names.join(", ")}`);
  return Object.fromEntries((container.env ?? []).map((entry) => [entry.name, valueOf(entry, container, pod)]));
}

function valueOf({ name, value, valueFrom }: EnvironmentEntry, container: Container, { owner }: Pod): string {
  if (value !== undefined) return value;
  if (valueFrom?.secretKeyRef !== undefined) return played[name] ?? "secret";
  if (valueFrom?.fieldRef?.fieldPath === "metadata.name") return `${owner.metadata.name}-7d9c5b7f4-x2x9z`;
  if (valueFrom?.resourceFieldRef?.resource === "limits.memory" && valueFrom.resourceFieldRef.divisor === "1") {
    return String(bytesOf(String(container.resources?.limits?.["memory"])));
  }
  throw new TypeError(`${name} has no value that this test knows`);
}

const binary: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, "": 1 };

/** A quantity of memory in bytes. */
export function bytesOf(quantity: string): number {
  const { amount = "", unit = "" } = /^(?<amount>\d+)(?<unit>[KMGT]i|)$/.exec(quantity)?.groups ?? {};
  const factor = binary[unit];
  if (amount === "" || factor === undefined) throw new TypeError(`"${quantity}" is no quantity of memory that this test knows`);
  return Number(amount) * factor;
}
