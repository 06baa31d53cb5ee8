/**
 * The chart's NetworkPolicies let through what the farm needs and nothing else, as far as the stand-in for a network plugin goes.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { allows, type End, endOf } from "../../support/chart/network-policy.ts";
import { type KubeObject, type Labels, ofKind, render, thePod, type Values } from "../../support/chart/objects.ts";
import { leastBut } from "../../support/chart/value-sets.ts";

const namespace = "render";
const prometheus: End = { namespace: "monitoring", labels: { app: "prometheus" } };
const dns: End = { namespace: "kube-system", labels: { "k8s-app": "kube-dns" } };
const neighbour: End = { namespace, labels: { app: "a-client" } };
const stranger: End = { namespace: "elsewhere", labels: { "app.kubernetes.io/component": "coordinator" } };
const inside: End = { address: "10.20.0.7" };
const outside: End = { address: "93.184.216.34" };
const metadata: End = { address: "169.254.169.254" };

const servers: Values = {
  postgres: { existingSecret: { name: "" }, evaluation: { enabled: true } },
  nats: { url: "", evaluation: { enabled: true } },
  artifacts: { s3: { bucket: "" }, evaluation: { enabled: true } },
};
const pulling: Values = { pools: { gpu: { modelRepository: { pull: { enabled: true, budgetGiB: 50 } } } } };
const scaling: Values = { pools: { gpu: { scaling: { enabled: true } } } };

/** Whether a release of these values lets a connection through; ends are named by their component, a port is of TCP unless it says "udp". */
type Lets = (from: string | End, to: string | End, port: number | { readonly udp: number }) => boolean;

async function release(values: Values): Promise<Lets> {
  const objects = await render(leastBut(values), { namespace });
  const policies = ofKind(objects, "NetworkPolicy");
  const end = (of: string | End): End => (typeof of === "string" ? endOf(thePod(objects, component(of)), namespace) : of);
  return (from, to, port) => {
    const wire = typeof port === "number" ? { port } : ({ port: port.udp, protocol: "UDP" } as const);
    return allows(policies, namespace, { from: end(from), to: end(to), ...wire });
  };
}

function component(name: string): Labels {
  return { "app.kubernetes.io/component": name };
}

describe("a farm with servers of its own for evaluation", () => {
  let lets: Lets;
  beforeAll(async () => {
    lets = await release({ ...servers, ...pulling });
  });

  it.each([
    ["coordinator", "postgres", 5432],
    ["coordinator", "nats", 4222],
    ["coordinator", "s3", 7070],
    ["worker", "nats", 4222],
    ["worker", "s3", 7070],
    ["worker", "coordinator", 7443],
    ["migration", "postgres", 5432],
  ])("lets %s talk to %s at %d, and resolve its name", (from, to, port) => {
    expect([lets(from, to, port), lets(from, dns, { udp: 53 }), lets(from, dns, 53)]).toEqual([true, true, true]);
  });

  it.each([
    ["worker", "postgres", 5432],
    ["worker", "coordinator", 8080],
    ["migration", "nats", 4222],
    ["migration", "s3", 7070],
    ["migration", "coordinator", 7443],
    ["coordinator", "worker", 8081],
    ["coordinator", "nats", 8222],
    ["nats", "postgres", 5432],
    ["postgres", "coordinator", 8080],
  ])("does not let %s talk to %s at %d", (from, to, port) => {
    expect(lets(from, to, port)).toBe(false);
  });

  it("lets a neighbour and a named client reach the coordinator, and nobody else reach anything", () => {
    const ports: readonly (readonly [string, number])[] = [
      ["coordinator", 7443],
      ["coordinator", 8080],
      ["worker", 8081],
      ["nats", 4222],
      ["postgres", 5432],
      ["s3", 7070],
    ];
    expect(ports.map(([to, port]) => lets(neighbour, to, port))).toEqual([true, true, false, false, false, false]);
    expect(ports.map(([to, port]) => lets(stranger, to, port))).toEqual(ports.map(() => false));
  });

  it("lets Prometheus read metrics, and only those", () => {
    expect([lets(prometheus, "coordinator", 8080), lets(prometheus, "worker", 8081)]).toEqual([true, true]);
    expect([lets(prometheus, "coordinator", 7443), lets(prometheus, "nats", 4222), lets(prometheus, "postgres", 5432)]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it("lets the coordinator reach what is public for webhooks and media, and nothing inside by that way", () => {
    const inner = ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd00::1", "fe80::1"].map((address) => ({
      address,
    }));
    expect([lets("coordinator", outside, 443), lets("coordinator", { address: "2606:2800::1" }, 443)]).toEqual([true, true]);
    expect([...inner, metadata].filter((end) => lets("coordinator", end, 443))).toEqual([]);
    expect([lets("coordinator", outside, 80), lets("worker", outside, 443), lets("postgres", outside, 443)]).toEqual([false, false, false]);
  });
});

describe("a farm with servers elsewhere", () => {
  it("lets pods reach the ports that the addresses name", async () => {
    const lets = await release({
      nats: { url: "nats://10.20.0.7:4333" },
      artifacts: { s3: { endpoint: "http://minio.storage:9000" } },
      tracing: { endpoint: "http://collector.tracing:4318" },
    });
    const reached = ["coordinator", "worker", "migration"].map((from) =>
      [5432, 4333, 9000, 4318].filter((port) => lets(from, inside, port)),
    );
    expect(reached).toEqual([[5432, 4333, 9000, 4318], [4333, 9000, 4318], [5432]]);
    expect(lets("worker", "coordinator", 7443)).toBe(false);
  });

  it("takes an address's usual port, and the port that values say of one in a Secret", async () => {
    const secret = { nats: { url: "", existingSecret: { name: "nats" }, port: 4555 }, postgres: { port: 6432 } };
    const usual = await release({ artifacts: { s3: { endpoint: "https://s3.example" } } });
    const said = await release(secret);
    expect([
      usual("worker", inside, 443),
      usual("worker", inside, 4222),
      said("worker", inside, 4555),
      said("coordinator", inside, 6432),
    ]).toEqual([...[true, true, true, true]]);
    expect([said("worker", inside, 4222), said("coordinator", inside, 5432)]).toEqual([false, false]);
  });

  it("lets the migration go around a pooler", async () => {
    const lets = await release({ postgres: { port: 6432, directSecret: { name: "direct", port: 5433 } } });
    expect([lets("migration", inside, 5433), lets("migration", inside, 6432), lets("coordinator", inside, 5433)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("lets nobody reach another than the peers that are named", async () => {
    const peers = [{ ipBlock: { cidr: "10.20.0.0/24" } }];
    const networkPolicy = { postgres: peers, nats: peers, s3: peers, publicHttps: false };
    const lets = await release({ networkPolicy });
    expect(["coordinator", "worker"].map((from) => [4222, 443].map((port) => lets(from, inside, port)))).toEqual([
      [true, true],
      [true, true],
    ]);
    const other: End = { address: "10.30.0.7" };
    expect(["coordinator", "worker"].flatMap((from) => [5432, 4222, 443].map((port) => lets(from, other, port)))).not.toContain(true);
    expect(lets("coordinator", outside, 443)).toBe(false);
  });

  it("talks to the API server only where it sets the size of pools", async () => {
    const scaled = await release(scaling);
    const fixed = await release({ networkPolicy: { s3: [{ ipBlock: { cidr: "10.20.0.0/24" } }] } });
    const server: End = { address: "10.96.0.1" };
    expect([scaled("coordinator", server, 443), scaled("coordinator", server, 6443), scaled("worker", server, 6443)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([fixed("coordinator", server, 443), fixed("coordinator", server, 6443)]).toEqual([false, false]);
  });

  it("takes clients, a Prometheus and ways out that values name", async () => {
    const lets = await release({
      networkPolicy: {
        clients: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "elsewhere" } } }],
        prometheus: [],
        coordinatorEgress: [{ ports: [{ protocol: "TCP", port: 8443 }] }],
        workerEgress: [{ to: [{ ipBlock: { cidr: "10.9.0.0/16" } }] }],
      },
    });
    expect([lets(stranger, "coordinator", 7443), lets(stranger, "worker", 8081), lets(prometheus, "coordinator", 8080)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([lets("coordinator", inside, 8443), lets("worker", { address: "10.9.1.1" }, 22), lets("worker", inside, 22)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("the stand-in for a network plugin", () => {
  const policy = (spec: object): KubeObject => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "p" },
    spec: { ...spec },
  });
  const connection = { from: neighbour, to: { namespace, labels: { app: "server" } }, port: 80 };

  it("leaves open what no policy selects, and shuts what one selects without a rule", () => {
    const shut = policy({ podSelector: { matchLabels: { app: "server" } }, policyTypes: ["Ingress"] });
    expect([allows([], namespace, connection), allows([shut], namespace, connection)]).toEqual([true, false]);
    expect(allows([policy({ podSelector: {}, policyTypes: ["Egress"], egress: [{}] })], namespace, connection)).toBe(true);
  });

  it("adds rules up, and wants both ends to allow it", () => {
    const open = policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress: [{ ports: [{ port: 80 }] }] });
    const out = policy({
      podSelector: { matchLabels: { app: "a-client" } },
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: {} }] }],
    });
    expect([allows([open], namespace, connection), allows([open, out], namespace, connection)]).toEqual([false, true]);
    expect(allows([open, out], namespace, { ...connection, protocol: "UDP" })).toBe(false);
  });
});
