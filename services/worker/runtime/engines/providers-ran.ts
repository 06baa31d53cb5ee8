/**
 * Which execution providers really ran a graph.
 *
 * With one provider there is nothing to ask: a session either runs on it or is refused. With several, ONNX Runtime divides the graph among them and
 * tells nobody, except in its profile; so the first run of such a session is profiled, and the profile read and removed.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ProviderProbe = {
  /** Session options that make the probe work. */
  readonly options: { readonly enableProfiling?: true; readonly profileFilePrefix?: string };
  /** What ran the graph, in the order of the settings; reads the profile once, after the first run. */
  ran(endProfiling: () => void): Promise<readonly string[]>;
  close(): Promise<void>;
};

/** A probe for one session. */
export async function createProviderProbe(configured: readonly string[]): Promise<ProviderProbe> {
  if (configured.length === 1) return { options: {}, ran: () => Promise.resolve(configured), close: () => Promise.resolve() };
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-profile-"));
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  let found: readonly string[] | undefined;
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, "run") },
    async ran(endProfiling) {
      if (found !== undefined) return found;
      endProfiling();
      const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
      await close();
      found = inOrder(new Set(texts.flatMap(providersOf)), configured);
      return found;
    },
    close,
  };
}

/** Names of the providers first, in the order of the settings, then any that nobody named. */
export function inOrder(ran: ReadonlySet<string>, configured: readonly string[]): readonly string[] {
  return [...configured.filter((name) => ran.has(name)), ...[...ran].filter((name) => !configured.includes(name)).toSorted()];
}

type ProfileEvent = { readonly cat?: string; readonly args?: { readonly provider?: string } };

/** The providers of a profile's nodes, named as in the settings: `CUDAExecutionProvider` is `cuda`. */
export function providersOf(profile: string): readonly string[] {
  const events = JSON.parse(profile) as readonly ProfileEvent[];
  const names = events.flatMap(({ cat, args }) => (cat === "Node" && args?.provider !== undefined ? [args.provider] : []));
  return [...new Set(names.map((name) => name.replace(/ExecutionProvider$/, "").toLowerCase()))];
}
