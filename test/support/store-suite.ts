/**
 * A fresh world for each test of a file, on one server.
 */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { StoreOptions } from "../../services/coordinator/store/store.ts";
import { startTestPostgres, type TestPostgres } from "./postgres.ts";
import { openWorld, type World } from "./store-world.ts";

/** Registers the hooks; call the result inside a test. */
export function useWorld(options: Partial<StoreOptions> = {}): () => World {
  let postgres: TestPostgres;
  let world: World;
  beforeAll(async () => {
    postgres = await startTestPostgres();
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    world = await openWorld(await postgres.createDatabase(), options);
  });
  afterEach(() => world.close());
  return () => world;
}
