/**
 * The profile: what may change the last bits of a result (design §3), as one string.
 *
 * On CPU that is ONNX Runtime's version, the instruction set that picks its kernels, and the number of threads, which is always set.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FarmError } from "../domain/errors.ts";

export type CpuProfileOptions = { readonly threads: number; readonly onnxruntimeVersion: string };

/** This machine's CPU profile, e.g. `cpu;ort-1.30.0;x86_64-avx512;threads-1`. */
export function cpuProfile({ threads, onnxruntimeVersion }: CpuProfileOptions): string {
  return `cpu;ort-${onnxruntimeVersion};${instructionSet(readCpuInfo(), process.arch)};threads-${threads}`;
}

export type RuntimeProfileOptions = CpuProfileOptions & {
  readonly providers: readonly string[];
  /** Compute architecture of the device, e.g. `sm_90`; needed where a provider is not the CPU. */
  readonly architecture: string | undefined;
};

/** The profile of a runtime with any providers; CONFIG_INVALID where a device's architecture is not said. */
export function runtimeProfile(options: RuntimeProfileOptions): string {
  const { providers, architecture, onnxruntimeVersion } = options;
  if (providers.every((name) => name === "cpu")) return cpuProfile(options);
  if (architecture === undefined) {
    const message = `providers ${providers.join(",")} need VAPFARM_RUNTIME_ARCHITECTURE, which is part of the profile`;
    throw new FarmError("CONFIG_INVALID", { message });
  }
  return `${providers.join("+")};ort-${onnxruntimeVersion};${architecture}`;
}

/** Version of the installed onnxruntime-node, read without loading its native library. */
export function installedOnnxruntimeVersion(): string {
  const require = createRequire(import.meta.url);
  const manifest = join(dirname(require.resolve("onnxruntime-node")), "..", "package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };
  return version;
}

/** Instruction set by which ONNX Runtime's CPU kernels (MLAS) are chosen, told from /proc/cpuinfo. */
export function instructionSet(cpuInfo: string, architecture: string): string {
  if (architecture === "arm64") return "arm64-neon";
  const flags = new Set((/^flags\s*:(.*)$/m.exec(cpuInfo)?.[1] ?? "").trim().split(/\s+/));
  if (["avx512f", "avx512bw", "avx512dq", "avx512vl"].every((flag) => flags.has(flag))) return "x86_64-avx512";
  if (flags.has("avx2") && flags.has("fma")) return "x86_64-avx2";
  return "x86_64-sse";
}

/** Empty where there is no such file; the profile then names the least. */
function readCpuInfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}
