/**
 * The renders of a manifest between their check and their storing: a temporary file of JSON lines, so that their number is the disk's matter
 * and a client that sends slowly holds no transaction open.
 */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { ManifestRender } from "../store/store-contract.ts";
import { openPart } from "./upload-file.ts";

/** Renders of one statement: about two megabytes. */
const rendersPerPart = 1_000;

/** A file being filled, then read as often as needed. */
export type ManifestFile = {
  add(renders: readonly ManifestRender[]): Promise<void>;
  /** To be called after the last `add`. */
  seal(): Promise<void>;
  parts(): AsyncIterable<readonly ManifestRender[]>;
  /** To be called in any case. */
  remove(): Promise<void>;
};

/** An empty file at `path`. */
export async function openManifestFile(path: string): Promise<ManifestFile> {
  const file = await openPart(path);
  return {
    add: (renders) => file.write(Buffer.from(renders.map((render) => `${JSON.stringify(render)}\n`).join(""))),
    seal: () => file.close(),
    parts: () => partsOf(path),
    async remove() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

async function* partsOf(path: string): AsyncGenerator<readonly ManifestRender[]> {
  let part: ManifestRender[] = [];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    part.push(JSON.parse(line) as ManifestRender);
    if (part.length < rendersPerPart) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}
