/**
 * The process that decodes one still image: `node image-child.ts <path> <pixels> <memory bytes> <seconds>` → binary PPM on stdout.
 *
 * A decoder of strangers' bytes can eat any memory or crash, so it does that here and not in a service. The address space is limited to what the
 * idle process already has (V8 reserves about 1 GiB that it never touches) plus the allowance, before a byte of the file is read. Exit 65
 * means that the image could not be decoded, with the reason on stderr.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import sharp from "sharp";

const channels = 3;
const damaged = 65;
const prlimitPath = "/usr/bin/prlimit";

/** Where the system has no `prlimit`, the limit on pixels is what bounds the memory. */
function limitMemory(allowanceBytes: number): void {
  if (!existsSync(prlimitPath)) return;
  const idleKib = Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const limit = `--as=${idleKib * 1024 + allowanceBytes}`;
  const { status } = spawnSync(prlimitPath, ["--pid", String(process.pid), limit, "--core=0"], { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) process.exit(1);
}

/** As PIL's `convert("RGB")`: no colour management, no rotation, alpha dropped, the first picture of an animation. */
function decode(path: string, limits: { readonly pixels: number; readonly seconds: number }) {
  return sharp(path, { ignoreIcc: true, autoOrient: false, failOn: "error", limitInputPixels: limits.pixels, pages: 1 })
    .timeout({ seconds: limits.seconds })
    .removeAlpha()
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
}

/** Grey has one channel after alpha is gone; it is spread over three. */
function toRgb(data: Buffer, from: number): Uint8Array {
  if (from === channels) return data;
  const rgb = new Uint8Array((data.length / from) * channels);
  for (let index = 0; index < rgb.length; index += 1) rgb[index] = data[Math.trunc(index / channels) * from] ?? 0;
  return rgb;
}

async function main([path = "", pixels, memoryBytes, seconds]: readonly string[]): Promise<void> {
  sharp.cache(false);
  sharp.concurrency(1);
  limitMemory(Number(memoryBytes));
  try {
    const { data, info } = await decode(path, { pixels: Number(pixels), seconds: Number(seconds) });
    process.stdout.write(`P6\n${info.width} ${info.height}\n255\n`);
    process.stdout.write(toRgb(data, info.channels));
  } catch (thrown) {
    process.stderr.write(thrown instanceof Error ? thrown.message : String(thrown));
    process.exitCode = damaged;
  }
}

await main(process.argv.slice(2));
