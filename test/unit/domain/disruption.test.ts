import { describe, expect, it } from "vitest";
import { disruptionOf, type NodeSight, type PodSight } from "../../../services/domain/disruption.ts";

const sound: PodSight = {
  isDeleting: false,
  endsInMs: undefined,
  disruption: undefined,
  phase: "Running",
  statusReason: "",
  ended: undefined,
};
const ready: NodeSight = { isReady: true, taints: [] };
const target = (reason: string) => ({ disruption: { reason, message: "why" } });
const oom = { ended: { reason: "OOMKilled", exitCode: 137 } };
const of = (given: Partial<PodSight>, node: NodeSight = ready) => disruptionOf({ ...sound, ...given }, node);

describe("what is done to a worker from outside", () => {
  it.each([
    { what: "nothing", saw: [{}, ready], cause: undefined },
    { what: "nothing, on a node that nobody may look at", saw: [{}, "unknown"], cause: undefined },
    { what: "an eviction", saw: [target("EvictionByEvictionAPI"), ready], cause: "evicted" },
    { what: "a preemption by the scheduler", saw: [target("PreemptionByScheduler"), ready], cause: "preempted" },
    { what: "a taint that it does not tolerate", saw: [target("DeletionByTaintManager"), ready], cause: "tainted" },
    { what: "a shutdown of its node", saw: [target("TerminationByKubelet"), ready], cause: "shutdown" },
    { what: "a condition that a later release adds", saw: [target("DeletionByComet"), ready], cause: "evicted" },
    { what: "a deleted pod", saw: [{ isDeleting: true }, ready], cause: "deleted" },
    { what: "a spot notice", saw: [{}, { isReady: true, taints: ["x", "aws-node-termination-handler/spot-itn"] }], cause: "reclaimed" },
    { what: "a node that went away", saw: [{}, "gone"], cause: "node_gone" },
    { what: "a node that does not answer", saw: [{}, { isReady: false, taints: [] }], cause: "node_lost" },
  ] as const)("is $what", ({ saw: [pod, node], cause }) => {
    const found = of(pod, node);
    expect(found?.cause).toBe(cause);
    if (cause !== undefined) expect(found?.isExcuse).toBe(true);
  });

  it("is not what its container did itself, on a lost node either", () => {
    expect(of(oom)).toMatchObject({ cause: "own_fault", isExcuse: false, message: "its container ended: OOMKilled, exit code 137" });
    expect(of(oom, "gone")?.isExcuse).toBe(false);
    expect(of({ ...oom, isDeleting: true })?.isExcuse).toBe(false);
    expect(of({ ended: { reason: "Error", exitCode: 1 } })?.isExcuse).toBe(false);
  });

  it("is an eviction although its container was killed for it", () => {
    expect(of({ ...target("EvictionByEvictionAPI"), ended: { reason: "Error", exitCode: 137 } })?.isExcuse).toBe(true);
    expect(of({ isDeleting: true, ended: { reason: "Error", exitCode: 137 } })?.cause).toBe("deleted");
  });

  it("is pressure where the kubelet evicts for want of something", () => {
    expect(of({ ...target("TerminationByKubelet"), phase: "Failed", statusReason: "Evicted" })?.cause).toBe("pressure");
  });

  it("lets what runs go on for as long as there is time, but for a last checkpoint", () => {
    expect(of(target("EvictionByEvictionAPI"))?.leaveInMs).toBe(0);
    expect(of({ isDeleting: true, endsInMs: 60_000 })?.leaveInMs).toBe(40_000);
    expect(of({ isDeleting: true, endsInMs: 5_000 })?.leaveInMs).toBe(0);
    expect(of({}, { isReady: false, taints: [] })?.leaveInMs).toBeUndefined();
  });
});
