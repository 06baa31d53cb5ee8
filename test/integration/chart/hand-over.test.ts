/**
 * A pool that goes from a fixed size to scaling keeps the size that it has.
 */
import { describe, expect, it } from "vitest";
import { startCluster } from "../../support/chart/cluster.ts";
import { type KubeObject, render, theOne } from "../../support/chart/objects.ts";
import { leastBut } from "../../support/chart/value-sets.ts";

const pool = { "app.kubernetes.io/component": "worker", "vapfarm.io/pool": "gpu" };
const fixed = leastBut({ pools: { gpu: { replicas: 20 } } });
const scaledBy = (appliedBy: string) => leastBut({ pools: { gpu: { replicas: 20, scaling: { enabled: true, appliedBy, max: 40 } } } });

type Managed = { readonly manager: string; readonly operation: string; readonly subresource?: string; readonly fieldsV1: object };
const held = { "f:spec": { "f:replicas": {}, "f:template": {} } };
const notHeld = { "f:spec": { "f:template": {} } };
const applied: Managed = { manager: "helm", operation: "Apply", fieldsV1: held };
const updated: Managed = { manager: "helm", operation: "Update", fieldsV1: held };
const farm: Managed = { manager: "node", operation: "Update", subresource: "scale", fieldsV1: { "f:spec": { "f:replicas": {} } } };

/** The Deployment as a cluster has it after a release with a fixed size, and whatever wrote its size since. */
async function there(replicas: number, managedFields: readonly Managed[]): Promise<KubeObject> {
  const object = theOne(await render(fixed), "Deployment", pool);
  const annotations = { "meta.helm.sh/release-name": "farm", "meta.helm.sh/release-namespace": "render" };
  const metadata = { ...object.metadata, annotations, managedFields };
  return { ...object, metadata, spec: { ...object.spec, replicas } };
}

/** The size that an upgrade to scaling says; undefined: it says none, and the field is left alone. */
async function sizeAfter(object: KubeObject, appliedBy = "farm"): Promise<unknown> {
  const cluster = await startCluster([object], "render");
  try {
    const objects = await render(scaledBy(appliedBy), { kubeconfig: cluster.kubeconfig });
    return theOne(objects, "Deployment", pool).spec?.["replicas"];
  } finally {
    await cluster.stop();
  }
}

describe("an upgrade that switches scaling on", () => {
  it.each(["farm", "other"])(
    "says the size that is there, so that taking the field away does not make it one pod (%s)",
    async (appliedBy) => {
      expect(await sizeAfter(await there(20, [applied]), appliedBy)).toBe(20);
      expect(await sizeAfter(await there(20, [updated]), appliedBy)).toBe(20);
    },
  );

  it("says 0 where there are none, and not what values say", async () => {
    expect(await sizeAfter(await there(0, [applied]))).toBe(0);
  });

  it("goes on to say it where releases are merged on the client, which would take a field away that somebody else has written since", async () => {
    expect(await sizeAfter(await there(7, [{ ...updated, fieldsV1: notHeld }, farm]))).toBe(7);
  });

  it("says none once the farm alone holds the field, so that it never meets what the farm writes meanwhile", async () => {
    expect(await sizeAfter(await there(7, [{ ...applied, fieldsV1: notHeld }, farm]))).toBeUndefined();
  });

  it("is not taken in by another who applies some other field", async () => {
    const other: Managed = { manager: "other", operation: "Apply", fieldsV1: { "f:metadata": { "f:annotations": {} } } };
    expect(await sizeAfter(await there(7, [updated, other]))).toBe(7);
  });
});

describe("a pool that begins with scaling", () => {
  it("is made without a size", async () => {
    expect(theOne(await render(scaledBy("farm")), "Deployment", pool).spec).not.toHaveProperty("replicas");
  });
});
