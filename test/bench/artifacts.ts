/**
 * How fast each backend of the artifact store takes and gives: a checkpoint's size, and a clip's.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { checked } from "../../services/platform/artifacts/checked.ts";
import { type Backend, startStores } from "../support/artifact-stores.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

const mebibyte = 1024 * 1024;
const measured: readonly Backend[] = ["folder", "s3", "jetstream"];
const names: Readonly<Record<string, string>> = { folder: "folder", s3: "S3 on moto", jetstream: "JetStream, one server" };

type Held = { readonly path: string; readonly sha256: string; readonly sizeBytes: number };

async function fileOf(folder: string, sizeBytes: number): Promise<Held> {
  const bytes = randomBytes(sizeBytes);
  const sha256 = sha256Of(bytes);
  const path = join(folder, sha256);
  await writeFile(path, bytes);
  return { path, sha256, sizeBytes };
}

async function readAll(store: ArtifactStore, { sha256 }: Held): Promise<void> {
  for await (const piece of checked(await store.get(sha256), sha256)) if (piece.length === 0) return;
}

async function figuresOf(
  backend: Backend,
  { store, file, rounds }: { readonly store: ArtifactStore; readonly file: Held; readonly rounds: number },
) {
  const putMs = await medianMs(rounds, () => store.put(file.sha256, file.path));
  const getMs = await medianMs(rounds, () => readAll(store, file));
  const megabytes = file.sizeBytes / 1e6;
  const what = `${names[backend] ?? backend}, ${file.sizeBytes / mebibyte} MiB`;
  return [
    { name: `${what}: put`, value: (megabytes / putMs) * 1_000, unit: "MB/s" },
    { name: `${what}: get, hashed`, value: (megabytes / getMs) * 1_000, unit: "MB/s" },
  ];
}

export const artifacts: Bench = {
  name: "artifact stores on loopback, one artifact at a time",
  notMeasured: "any real S3, a network, replicas, several clients at once; moto is Python and keeps objects in memory",
  async run(short) {
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-artifact-bench-"));
    const stores = await startStores();
    try {
      const figures: Figure[] = [];
      for (const sizeBytes of short ? [4 * mebibyte] : [4 * mebibyte, 48 * mebibyte]) {
        const file = await fileOf(folder, sizeBytes);
        for (const backend of measured) {
          const store = await stores.open(backend, folder);
          figures.push(...(await figuresOf(backend, { store, file, rounds: short ? 2 : 9 })));
        }
      }
      return figures;
    } finally {
      await stores.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
