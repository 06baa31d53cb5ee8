/**
 * Open sessions, most recently used last, within a budget of bytes.
 *
 * Invariants: an engine's files are verified against its digest before it is opened; a session is named by path and digest, so a
 * model that changes on disk opens anew; room is made before a load, never after. One engine is always allowed, however large.
 */
import { join } from "node:path";
import { createEngineVerifier, type HeldManifest } from "../../../platform/models/repository.ts";
import type { Engine } from "../../../platform/models/manifest.ts";
import { type EngineSession, type ExecutionOptions, openSession } from "./onnx-session.ts";

export type SessionCacheOptions = ExecutionOptions & { readonly sessionBytes: number };

export type SessionCache = {
  /** An open session, opened now when it was not resident. `onLoad` is called before a load begins. */
  open(manifest: Pick<HeldManifest, "folder">, engine: Engine, onLoad: () => void): Promise<EngineSession>;
  residentDigests(): readonly string[];
};

/** An empty cache. Its `open` is for one caller at a time, as the inference thread is. */
export function createSessionCache(options: SessionCacheOptions): SessionCache {
  // Insertion order is order of use.
  const sessions = new Map<string, EngineSession>();
  const verifier = createEngineVerifier();
  const makeRoom = async (neededBytes: number): Promise<void> => {
    for (const [key, session] of sessions) {
      const used = [...sessions.values()].reduce((sum, { engine }) => sum + engine.memoryBytes, 0);
      if (used + neededBytes <= options.sessionBytes) return;
      sessions.delete(key);
      await session.close();
    }
  };
  return {
    async open(manifest, engine, onLoad) {
      const path = join(manifest.folder, engine.path);
      const key = `${path}#${engine.digest}`;
      const resident = sessions.get(key);
      if (resident !== undefined) {
        sessions.delete(key);
        sessions.set(key, resident);
        return resident;
      }
      onLoad();
      await verifier.verify(manifest, engine);
      await makeRoom(engine.memoryBytes);
      const session = await openSession(path, engine, options);
      sessions.set(key, session);
      return session;
    },
    residentDigests: () => [...sessions.values()].map(({ engine }) => engine.digest),
  };
}
