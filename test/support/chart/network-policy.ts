/**
 * Which connections NetworkPolicies let through: what a network plugin does with them, as the API documents it.
 *
 * A connection goes through when the policies that select its source allow it out, and those that select its target allow it in; a side
 * that no policy selects is open.
 */
import { isIPv4 } from "node:net";
import ipaddr from "ipaddr.js";
import { includesLabels, type KubeObject, type Labels, type Pod, type PodSpec } from "./objects.ts";

/** A pod, or an address outside the cluster. */
export type End =
  | { readonly namespace: string; readonly namespaceLabels?: Labels; readonly labels: Labels; readonly spec?: PodSpec }
  | { readonly address: string };

export type Connection = { readonly from: End; readonly to: End; readonly port: number; readonly protocol?: "TCP" | "UDP" };

type Selector = { readonly matchLabels?: Labels };
type Peer = {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
};
type Port = { readonly protocol?: string; readonly port?: number | string };
type Rule = { readonly ports?: readonly Port[]; readonly from?: readonly Peer[]; readonly to?: readonly Peer[] };
type Policy = {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
};

/** A pod of the release, as an end. */
export function endOf({ labels, spec }: Pod, namespace: string): End {
  return { namespace, labels, spec };
}

/** Whether the policies, all of one namespace, let a connection through. */
export function allows(policies: readonly KubeObject[], namespace: string, connection: Connection): boolean {
  const all = policies.map(({ spec }) => spec as Policy);
  const { from, to } = connection;
  const isOut = sideAllows(all, { end: from, other: to, type: "Egress", namespace, connection });
  const isIn = sideAllows(all, { end: to, other: from, type: "Ingress", namespace, connection });
  return isOut && isIn;
}

type Side = {
  readonly end: End;
  readonly other: End;
  readonly type: "Ingress" | "Egress";
  readonly namespace: string;
  readonly connection: Connection;
};

function sideAllows(policies: readonly Policy[], side: Side): boolean {
  const { end, type, namespace } = side;
  if ("address" in end || end.namespace !== namespace) return true;
  const binding = policies.filter(
    ({ podSelector, policyTypes }) => policyTypes.includes(type) && includesLabels(end.labels, podSelector.matchLabels ?? {}),
  );
  if (binding.length === 0) return true;
  const rules = binding.flatMap(({ ingress = [], egress = [] }) => (type === "Ingress" ? ingress : egress));
  return rules.some((rule) => ruleAllows(rule, side));
}

function ruleAllows({ ports, from, to }: Rule, { other, type, namespace, connection }: Side): boolean {
  const peers = type === "Ingress" ? from : to;
  const isPeer = peers === undefined || peers.some((peer) => isOf(peer, other, namespace));
  return isPeer && (ports === undefined || ports.some((port) => isPort(port, connection)));
}

/** A named port is the target's. */
function isPort({ protocol = "TCP", port }: Port, { to, port: wanted, protocol: used = "TCP" }: Connection): boolean {
  if (protocol !== used) return false;
  if (typeof port !== "string") return port === undefined || port === wanted;
  const ports = "address" in to ? [] : (to.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.some(({ name, containerPort }) => name === port && containerPort === wanted);
}

function isOf({ podSelector, namespaceSelector, ipBlock }: Peer, end: End, namespace: string): boolean {
  if ("address" in end) return ipBlock !== undefined && isInBlock(ipBlock, end.address);
  if (ipBlock !== undefined) return false;
  const isNamespace =
    namespaceSelector === undefined
      ? end.namespace === namespace
      : includesLabels({ "kubernetes.io/metadata.name": end.namespace, ...end.namespaceLabels }, namespaceSelector.matchLabels ?? {});
  return isNamespace && includesLabels(end.labels, podSelector?.matchLabels ?? {});
}

function isInBlock({ cidr, except = [] }: { readonly cidr: string; readonly except?: readonly string[] }, address: string): boolean {
  return isIn(address, cidr) && !except.some((each) => isIn(address, each));
}

function isIn(address: string, cidr: string): boolean {
  if (isIPv4(address) === cidr.includes(":")) return false;
  return isIPv4(address)
    ? ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(cidr))
    : ipaddr.IPv6.parse(address).match(ipaddr.IPv6.parseCIDR(cidr));
}
