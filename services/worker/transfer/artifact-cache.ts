/**
 * Artifacts that lie on this machine already, so that what was made here is not fetched back.
 *
 * Entries are hard links beside the scratch folder: taking one costs no copy, and evicting one leaves attempts that use it untouched. Only
 * bytes whose hash was just computed come in. The cache is empty after a start, because a crash may have left half-written files.
 */
import { link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

export type ArtifactCache = {
  /** Makes `path` this artifact; false when it is not here. */
  take(sha256: string, path: string): Promise<boolean>;
  /** Keeps a file that has this hash; a file too large, or a link that fails, is simply not kept. */
  keep(artifact: { readonly sha256: string; readonly sizeBytes: number }, path: string): Promise<void>;
};

/** Told what the cache does, for counting. */
export type CacheObserver = {
  readonly onTake: (isHit: boolean) => void;
  readonly onHeld: (bytes: number) => void;
};

const nobody: CacheObserver = { onTake: () => undefined, onHeld: () => undefined };

/** A cache of at most `maxBytes`; least recently used goes first. */
export async function openArtifactCache(folder: string, maxBytes: number, observer: CacheObserver = nobody): Promise<ArtifactCache> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const cache = new LinkCache(folder, maxBytes, observer);
  return { take: (sha256, path) => cache.take(sha256, path), keep: (artifact, path) => cache.keep(artifact, path) };
}

class LinkCache {
  private readonly folder: string;
  private readonly maxBytes: number;
  /** Sizes in order of use, oldest first. */
  private readonly sizes = new Map<string, number>();
  private heldBytes = 0;
  private readonly observer: CacheObserver;

  constructor(folder: string, maxBytes: number, observer: CacheObserver) {
    this.folder = folder;
    this.maxBytes = maxBytes;
    this.observer = observer;
  }

  async take(sha256: string, path: string): Promise<boolean> {
    const isHit = await this.found(sha256, path);
    this.observer.onTake(isHit);
    return isHit;
  }

  private async found(sha256: string, path: string): Promise<boolean> {
    const sizeBytes = this.sizes.get(sha256);
    if (sizeBytes === undefined) return false;
    if (!(await linked(join(this.folder, sha256), path))) {
      await this.drop(sha256);
      return false;
    }
    this.sizes.delete(sha256);
    this.sizes.set(sha256, sizeBytes);
    return true;
  }

  async keep({ sha256, sizeBytes }: { readonly sha256: string; readonly sizeBytes: number }, path: string): Promise<void> {
    if (this.sizes.has(sha256) || sizeBytes > this.maxBytes) return;
    this.sizes.set(sha256, sizeBytes);
    this.hold(sizeBytes);
    if (!(await linked(path, join(this.folder, sha256)))) await this.drop(sha256);
    for (const oldest of [...this.sizes.keys()]) {
      if (this.heldBytes <= this.maxBytes) return;
      await this.drop(oldest);
    }
  }

  private hold(bytes: number): void {
    this.heldBytes += bytes;
    this.observer.onHeld(this.heldBytes);
  }

  private async drop(sha256: string): Promise<void> {
    this.hold(-(this.sizes.get(sha256) ?? 0));
    this.sizes.delete(sha256);
    await rm(join(this.folder, sha256), { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  );
}
