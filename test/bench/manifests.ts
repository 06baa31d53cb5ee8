/**
 * A manifest stored, its renders expanded by the window, and the rest cancelled, through the store.
 */
import { decideExpansion } from "../../services/domain/expansion.ts";
import type { ManifestRender, Store, WaitingRender } from "../../services/coordinator/store/store-contract.ts";
import { startTestPostgres } from "../support/postgres.ts";
import { batch, openWorld, plannedRender, sha256, task } from "../support/store-world.ts";
import type { Bench } from "./report.ts";

const window = 1_000;
const rendersPerPart = 1_000;
const rendersPerStep = 100;

export const manifests: Bench = {
  name: `manifests: renders as rows, a window of ${window}, real Postgres without fsync`,
  notMeasured: "gRPC, checking rows and planning graphs; disk flushes",
  async run(short) {
    const postgres = await startTestPostgres();
    const world = await openWorld(await postgres.createDatabase(), { limits: { openRenders: window } });
    try {
      const renders = short ? 2_000 : 100_000;
      const { store } = world;
      for (const name of ["image", "clip"]) await store.commitUpload({ ...upload, sha256: sha256(name) });
      const job = batch([[]]);
      const stored = await seconds(() => store.submitManifest({ ...job, renderTotal: renders, parts: () => parts(renders) }));
      let expanded = 0;
      const filled = await seconds(async () => (expanded = await fill(store)));
      const cancelled = await seconds(() => store.cancelJob("local", job.jobId));
      return [
        { name: `submit of ${renders} renders`, value: renders / stored, unit: "/s" },
        { name: "expanded renders of 10 tasks", value: expanded / filled, unit: "/s" },
        { name: `cancel of ${renders} renders`, value: renders / cancelled, unit: "/s" },
      ];
    } finally {
      await world.close();
      await postgres.stop();
    }
  },
};

const upload = { tenant: "local", sizeBytes: 1, mediaType: "image/png", kind: "image" as const, width: 1, height: 1, frames: 1 };

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

// eslint-disable-next-line @typescript-eslint/require-await -- parts come from a file elsewhere
async function* parts(count: number): AsyncGenerator<readonly ManifestRender[]> {
  for (let first = 0; first < count; first += rendersPerPart) {
    yield Array.from({ length: rendersPerPart }, (_, index) => {
      const { render } = plannedRender([], { prompt: `render ${first + index} ${"of some length ".repeat(20)}` });
      return { render, modelWeights: "random", fps: 16, modelDigest: sha256("model"), pool: "pool" };
    });
  }
}

/** Expands until the window is full. */
async function fill(store: Store): Promise<number> {
  const { epoch } = (await store.holdDuty("expand", "bench", 600_000)) ?? { epoch: 0 };
  for (let expanded = 0; ;) {
    const lines = decideExpansion((await store.expansionFacts()).pools, window, rendersPerStep);
    if (lines.length === 0) return expanded;
    const renders = (await store.waitingRenders(lines)).map((render) => ({ render, tasks: planOf(render) }));
    await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders });
    expanded += renders.length;
  }
}

/** A chain of ten, the first four shared. */
function planOf({ position }: WaitingRender) {
  const names = Array.from({ length: 10 }, (_, index) => (index < 4 ? `shared ${index}` : `${position} ${index}`));
  return names.map((name, index) => task(name, { after: names.slice(Math.max(0, index - 1), index) }));
}
