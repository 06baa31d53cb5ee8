/**
 * Loaded into a worker's runtime (NODE_OPTIONS, `talking`), makes it write a line before each step of a denoise, as a library would that
 * warns. All else is the real runtime.
 */
import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Settings of a worker whose runtime talks, with a secret among what it says. */
export function talking(secret: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}`, VAPFARM_TEST_TALKING_TOKEN: secret };
}

const secret = process.env["VAPFARM_TEST_TALKING_TOKEN"];
const isRuntime = process.argv[1]?.includes("/worker/runtime/") === true;

if (secret !== undefined && isRuntime) {
  const { InferenceSession } = await import("onnxruntime-node");
  type Session = { run: (...values: readonly unknown[]) => Promise<unknown> };
  const open = InferenceSession.create.bind(InferenceSession) as (model: string, options: object) => Promise<Session>;
  let step = 0;
  const openTalking = async (model: string, options: object): Promise<Session> => {
    const session = await open(model, options);
    if (typeof model !== "string" || !model.includes("/denoise/")) return session;
    const run = session.run.bind(session);
    session.run = (...values) => {
      step += 1;
      writeSync(2, `a library warns before step ${step}, with ${secret}\n`);
      return run(...values);
    };
    return session;
  };
  Object.assign(InferenceSession, { create: openTalking });
}
