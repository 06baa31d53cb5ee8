/**
 * Programs that tests start often: they keep what Node compiled, which is half of their start.
 */
import { join } from "node:path";

/** For the environment of a program under test. */
export const compileCache = { NODE_COMPILE_CACHE: join(import.meta.dirname, "../../.cache/node-compile") } as const;
