/**
 * An artifact store that is no folder (folders are disks of the machine): whether a probe can be put, read, deleted.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toFarmError } from "../../../domain/errors.ts";
import { fetchToFile } from "../../../platform/artifacts/fetch.ts";
import type { ArtifactStore } from "../../../platform/artifacts/artifact-store.ts";
import { withDeadline } from "../../../platform/deadline.ts";
import { probeNats } from "../../../platform/nats/probe.ts";
import { openArtifacts } from "../../open-artifacts.ts";
import { type Check, fail, ok, type Patient, type Verdict, warn } from "../verdict.ts";

/** What became of the probe. */
export type ArtifactFindings = {
  readonly address: string;
  /** Milliseconds from the put to the delete, or why it failed. */
  readonly probe: { readonly tookMs: number } | { readonly reason: string; readonly remedy: string };
};

const slowMs = 5_000;
const probeMs = 60_000;
const probeBytes = 4_096;

/** Pure. */
export function judgeArtifacts({ address, probe }: ArtifactFindings): readonly Verdict[] {
  if ("reason" in probe) return [fail("artifact store", `${address}: ${probe.reason}`, probe.remedy)];
  const found = `${address}: a probe was put, read and deleted in ${Math.round(probe.tookMs)} ms`;
  if (probe.tookMs < slowMs) return [ok("artifact store", found)];
  return [warn("artifact store", found, "look at the way to the store, and at what else it serves")];
}

/** Puts one artifact of random bytes, and takes it away. */
export const artifactsCheck: Check = {
  name: "artifact store",
  async run(patient) {
    const address = patient.artifacts;
    if (address === undefined || address.startsWith("folder:")) return [];
    try {
      return judgeArtifacts({ address, probe: { tookMs: await probe(patient, address) } });
    } catch (thrown) {
      const { message, row } = toFarmError(thrown);
      return judgeArtifacts({ address, probe: { reason: message, remedy: row.remedy } });
    }
  },
};

async function probe({ context, natsUrl = "" }: Patient, address: string): Promise<number> {
  // A connection to NATS would be waited for for ever.
  if (address.startsWith("jetstream:")) await probeNats(natsUrl);
  const { environment } = context;
  const store = await openArtifacts(address, { environment, natsUrl, name: "vapfarm-doctor", logLevel: "silent" });
  try {
    return await withDeadline(roundTrip(store), { ms: probeMs, code: "ARTIFACT_STORE_UNAVAILABLE", what: "the probe" });
  } finally {
    await store.close();
  }
}

async function roundTrip(store: ArtifactStore): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-doctor-"));
  try {
    const bytes = randomBytes(probeBytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(folder, "probe"), bytes);
    const began = performance.now();
    await store.put(sha256, join(folder, "probe"));
    try {
      await fetchToFile(store, { sha256, path: join(folder, "read") });
    } finally {
      await store.delete(sha256);
    }
    return performance.now() - began;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
