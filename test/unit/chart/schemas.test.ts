/**
 * The check of objects against the official schemas can fail.
 */
import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../support/chart/objects.ts";
import { faultsOf } from "../../support/chart/schemas.ts";

const container = { name: "c", image: "i", readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 3 } };
const metadata = { name: "it", labels: { "a/b": "c" }, annotations: { d: "e" } };

function deployment(container: object, spec: object = {}): KubeObject {
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [container], volumes: [{ name: "v", emptyDir: {} }], ...spec } };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { selector: { matchLabels: { a: "b" } }, template } };
}

describe("the official schemas", () => {
  it("let a right object pass", () => {
    expect(faultsOf(deployment(container))).toEqual([]);
  });

  it.each([
    ["a field of the wrong type", deployment({ ...container, ports: [{ containerPort: "80" }] }), "containerPort must be integer"],
    ["a value that there is not", deployment({ ...container, imagePullPolicy: "Sometimes" }), "must be equal to one of the allowed values"],
    ["a field that is missing", deployment({ image: "i" }), "must have required property"],
    [
      "a field that nobody knows",
      deployment({ ...container, enviroment: [] }),
      ".spec.template.spec.containers.0.enviroment is no field of it",
    ],
    [
      "one deeper down",
      deployment({ ...container, readinessProbe: { httpGet: { port: 1, pth: "/" } } }),
      ".readinessProbe.httpGet.pth is no field",
    ],
    ["one that belongs elsewhere", deployment(container, { replicas: 2 }), ".spec.template.spec.replicas is no field of it"],
    ["a kind that there is not", { ...deployment(container), kind: "Deploiment" }, "no schema for apps/v1 Deploiment"],
    ["a kind of another version", { ...deployment(container), apiVersion: "apps/v1beta1" }, "no schema for apps/v1beta1 Deployment"],
  ])("name %s", (_what, object, fault) => {
    expect(faultsOf(object).join("\n")).toContain(fault);
  });

  it.each([
    [{ endpoints: [{ port: "http" }], selector: {}, nameSpaceSelector: {} }, ".spec.nameSpaceSelector is no field of it"],
    [{ endpoints: [{ port: "http", interval: "often" }], selector: {} }, "interval must match pattern"],
    [{ endpoints: [{ port: "http" }] }, "must have required property"],
  ])("of the Prometheus operator refuse %j", (spec, fault) => {
    expect(faultsOf({ apiVersion: "monitoring.coreos.com/v1", kind: "ServiceMonitor", metadata, spec }).join("\n")).toContain(fault);
  });

  it("of KEDA refuse a trigger without a type", () => {
    const spec = { scaleTargetRef: { name: "worker" }, triggers: [{ metadata: { serverAddress: "http://prometheus" } }] };
    expect(faultsOf({ apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", metadata, spec }).join("\n")).toContain(
      "must have required property",
    );
  });

  it("leave labels and other free names alone", () => {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "any.name": "text" } };
    expect(faultsOf(object)).toEqual([]);
  });
});
