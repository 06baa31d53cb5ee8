/**
 * Execution providers of ONNX Runtime: each is proven on a graph of one node, in a process of its own.
 */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { toFarmError } from "../../../domain/errors.ts";
import { type Check, fail, ok, skip, type Verdict, warn } from "../verdict.ts";

/** Which providers there are, and why one did not run. */
export type ProviderFindings = {
  /** Providers whose libraries lie beside ONNX Runtime; cpu is built in. */
  readonly present: readonly string[];
  /** Provider → why it does not run; undefined: it runs. */
  readonly ran: Readonly<Record<string, string | undefined>>;
};

const runFile = promisify(execFile);
const probeMs = 60_000;
const accelerated = ["cuda", "tensorrt"];

/** Pure. */
export function judgeProviders({ present, ran }: ProviderFindings): readonly Verdict[] {
  const cpu = "cpu" in ran && ran["cpu"] === undefined;
  const first = cpu
    ? ok("provider cpu", "runs a graph")
    : fail("provider cpu", ran["cpu"] ?? "did not answer", "run `make setup` in the clone; ONNX Runtime needs glibc 2.28 or newer");
  const others = accelerated.map((name) => {
    if (!present.includes(name)) return skip(`provider ${name}`, "its library does not lie beside ONNX Runtime");
    const reason = name in ran ? ran[name] : "did not answer";
    const remedy = "install the NVIDIA driver, CUDA 12 and cuDNN 9, and let LD_LIBRARY_PATH name them; or leave the provider out";
    return reason === undefined ? ok(`provider ${name}`, "runs a graph") : warn(`provider ${name}`, reason, remedy);
  });
  return [first, ...others];
}

/** Runs a tiny network with each provider. */
export const providersCheck: Check = {
  name: "providers",
  async run({ context: { projectFolder, interrupts } }) {
    const folder = join(projectFolder, "node_modules/onnxruntime-node/bin");
    const files = await readdir(folder, { recursive: true }).catch((): string[] => []);
    const here = files.filter((file) => file.includes(join(process.platform, process.arch)));
    const present = accelerated.filter((name) => here.some((file) => file.endsWith(`onnxruntime_providers_${name}.so`)));
    const ran: Record<string, string | undefined> = {};
    for (const name of ["cpu", ...present]) Object.assign(ran, await probe(name, projectFolder, interrupts.signal));
    return judgeProviders({ present, ran });
  },
};

async function probe(name: string, projectFolder: string, signal: AbortSignal): Promise<ProviderFindings["ran"]> {
  const program = join(projectFolder, "services/worker/runtime/probe-main.ts");
  try {
    const { stdout } = await runFile(process.execPath, [program, name], { timeout: probeMs, signal });
    const answer = JSON.parse(stdout) as { readonly provider: string; readonly reason?: string };
    return { [answer.provider]: answer.reason };
  } catch (thrown) {
    return { [name]: toFarmError(thrown).message.split("\n")[0] };
  }
}
