/**
 * What a worker can run, told from the engines that it holds: one shape for each, and `prepare/-`, which needs none.
 */

/** Engines that are not named after their stage. */
const stageOfEngine: Readonly<Record<string, string>> = { vae_encode_image: "vae_encode" };

/** Shapes `<stage>/<engine digest>` of (engine name, digest) pairs, without doubles. */
export function shapesOfEngines(engines: readonly (readonly [name: string, digest: string])[]): readonly string[] {
  const shapes = engines.map(([name, digest]) => `${stageOfEngine[name] ?? name}/${digest}`);
  return [...new Set(["prepare/-", ...shapes])];
}
