/**
 * The checks of the matrix can fail: objects that are right, with one thing made wrong, are found.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { linkFaults } from "../../support/chart/link-rules.ts";
import { type KubeObject, render } from "../../support/chart/objects.ts";
import { podFaults } from "../../support/chart/pod-rules.ts";
import { leastBut } from "../../support/chart/value-sets.ts";

let text = "";
beforeAll(async () => {
  const objects = await render(
    leastBut({
      nats: { url: "", evaluation: { enabled: true } },
      pools: { gpu: { scaling: { enabled: true } } },
      networkPolicy: { enabled: false },
      monitoring: { serviceMonitor: { enabled: true } },
      coordinator: { publicUrl: "https://a.b", callers: { existingSecret: "callers" }, ingress: { http: { enabled: true, host: "a.b" } } },
    }),
  );
  text = JSON.stringify(objects);
});

/** The faults after a text of the objects' JSON became another, everywhere or in one object. */
function faultsAfter(from: string, to: string, of?: string): string {
  const objects = JSON.parse(text) as readonly KubeObject[];
  const changed = objects.map((object) => {
    const before = JSON.stringify(object);
    const isMeant = of === undefined || `${object.kind} ${object.metadata.name}` === of;
    return JSON.parse(isMeant ? before.replaceAll(from, to) : before) as KubeObject;
  });
  expect(JSON.stringify(changed)).not.toBe(text);
  return [...podFaults(changed), ...linkFaults(changed, new Set(["database", "callers"]))].join("\n");
}

const coordinator = "Deployment farm-vapfarm-coordinator";
const worker = "Deployment farm-vapfarm-worker-gpu";

describe("the rules of the matrix", () => {
  it("find nothing in what the chart makes", () => {
    expect(podFaults(JSON.parse(text) as readonly KubeObject[])).toEqual([]);
  });

  it.each([
    ["a pod that may run as root", '"runAsNonRoot":true', '"runAsNonRoot":false', "may run as root"],
    ["root's own id", '"runAsUser":10001', '"runAsUser":0', "may run as root"],
    ["a filesystem that can be written to", '"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false', "may write to its root"],
    ["capabilities that are kept", '"drop":["ALL"]', '"drop":["NET_RAW"]', "keeps capabilities"],
    ["privileges that can be had", '"allowPrivilegeEscalation":false,', "", "may become privileged"],
    ["no seccomp profile", '"type":"RuntimeDefault"', '"type":"Unconfined"', "has no seccomp profile"],
    ["the environment of Services", '"enableServiceLinks":false,', "", "environment of other Services"],
    ["a limit on memory that is missing", '"limits":{"memory":"6Gi"},', "", "does not say what it needs"],
    ["a folder without a bound", '"emptyDir":{"sizeLimit":"2Gi"}', '"emptyDir":{}', "without a bound"],
    ["a volume that is not there", '{"name":"tmp","mountPath"', '{"name":"temp","mountPath"', "mounts temp, which is no volume"],
    ["a volume that nobody mounts", '"volumes":[{', '"volumes":[{"name":"other"},{', "a volume other that nothing mounts"],
    ["two volumes at one place", '"mountPath":"/models"', '"mountPath":"/tmp"', "two volumes at one place"],
    [
      "a probe of a port that is not there",
      '"path":"/readyz","port":"http"',
      '"path":"/readyz","port":"web"',
      "port web, which it does not have",
    ],
    ["a liveness that asks for more", '"path":"/healthz"', '"path":"/readyz"', "ended for what others do"],
    ["an image of no version", "vapfarm/vapfarm-gpu:0.1.0", "vapfarm/vapfarm-gpu:latest", "runs vapfarm/vapfarm-gpu:latest"],
    ["no time to end", '"terminationGracePeriodSeconds":35', '"terminationGracePeriodSeconds":3', "without time to end"],
    ["a variable that stands twice", '"name":"VAPFARM_FARM"', '"name":"VAPFARM_MODELS"', "a variable twice"],
    ["a Secret that is not there", '"name":"callers"', '"name":"colours"', "Secret colours"],
    ["a secret in plain sight", "nats://farm", "nats://a:b@farm", "NATS_URL in plain sight"],
    ["a Service that leads nowhere", '"targetPort":"grpc"', '"targetPort":"rpc"', "no port rpc"],
    ["an Ingress that leads nowhere", '"port":{"name":"http"}', '"port":{"name":"web"}', "which is not there"],
    ["a label that cannot be", '"app.kubernetes.io/version":"0.1.0"', '"app.kubernetes.io/version":"a b"', "cannot be a b"],
    ["a pod that is scraped twice", ',"vapfarm.io/service":"each-coordinator"', "", "finds 2 Services"],
    ["a role that may more", '"verbs":["list","watch","patch"]', '"verbs":["get","delete"]', "a role may"],
    ["a role over the nodes that may more", '"verbs":["list","watch"]', '"verbs":["list","watch","update"]', "a role may"],
    ["a role over every Deployment", '"resourceNames":["farm-vapfarm-worker-gpu"],', "", "a role may"],
    ["a name that is too long", "farm-vapfarm-coordinators", "c".repeat(53), "is no name"],
    ["a claim that is not there", '"emptyDir":{"sizeLimit":"1Gi"}', '"persistentVolumeClaim":{"claimName":"gone"}', "claim gone"],
    ["a ConfigMap that is not there", '"configMap":{"name":"farm-vapfarm-nats"}', '"configMap":{"name":"gone"}', "ConfigMap gone"],
  ])("find %s", (...[, from, to, fault]) => {
    expect(faultsAfter(from, to)).toContain(fault);
  });

  it.each([
    [
      "a token that nobody needs",
      worker,
      '"automountServiceAccountToken":false',
      '"automountServiceAccountToken":true',
      "has a token without need",
    ],
    [
      "a token that is missing",
      coordinator,
      '"automountServiceAccountToken":true',
      '"automountServiceAccountToken":false',
      "none that it needs",
    ],
    ["an account that nobody makes", worker, 'farm-vapfarm-worker"', 'default"', "that the chart does not make"],
    [
      "a workload that selects others' pods",
      worker,
      '"app.kubernetes.io/component":"worker"',
      '"app.kubernetes.io/component":"coordinator"',
      "selects",
    ],
    [
      "a budget for nobody's pods",
      "PodDisruptionBudget farm-vapfarm-coordinator",
      'component":"coordinator',
      'component":"none',
      "selects 0 kinds",
    ],
    ["a Service for nobody", "Service farm-vapfarm-nats", 'component":"nats', 'component":"none', "leads to 0 kinds"],
    ["a monitor of a port that is not there", "PodMonitor farm-vapfarm-worker", '"port":"http"', '"port":"web"', "has no such port"],
  ])("find %s", (...[, of, from, to, fault]) => {
    expect(faultsAfter(from, to, of)).toContain(fault);
  });
});
