/**
 * A plain folder as the root of a stage: made from Debian's packages, and run in with namespaces and chroot instead of a container engine.
 *
 * What the machine needs to reach registries (its certificates, its name server) is lent to a command under /run/replay and is no part
 * of the root; mounts end with the command's namespace.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../services/domain/errors.ts";

export type Run = {
  readonly root: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  /** `uid:gid`; root when absent. */
  readonly user?: string;
  /** With a root that cannot be written, empty folders in place of these, and others bound read-only: path in the root → path here. */
  readonly sealed?: { readonly volumes: readonly string[]; readonly bound: Readonly<Record<string, string>> };
  readonly timeoutMs?: number;
  readonly onOutput?: (text: string) => void;
};

export type RunEnd = { readonly code: number | null; readonly output: string };

const certificates = process.env["NODE_EXTRA_CA_CERTS"];

/** Settings by which programs in the root trust what this machine trusts. */
function lentEnvironment(): Readonly<Record<string, string>> {
  if (certificates === undefined) return {};
  const path = "/run/replay/certificates.crt";
  return { NODE_EXTRA_CA_CERTS: path, npm_config_cafile: path, CURL_CA_BUNDLE: path };
}

/** `quoted` for sh. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The command in its root, in mounts and processes of its own: all of them end with it. */
export function commandIn(run: Run): { readonly program: string; readonly args: readonly string[] } {
  const { root, command, environment, folder, user, sealed } = run;
  const lent = sealed === undefined ? lentEnvironment() : {};
  const at = (path: string): string => quote(join(root, path));
  const lines = ["set -e", "mount --make-rprivate /", `mount --rbind /dev ${at("/dev")}`, `mount -t proc proc ${at("/proc")}`];
  if (sealed === undefined) {
    lines.push(`mount -t tmpfs tmpfs ${at("/run")}`, `mkdir ${at("/run/replay")}`);
    if (certificates !== undefined) lines.push(`cp ${quote(certificates)} ${at("/run/replay/certificates.crt")}`);
    lines.push(`touch ${at("/etc/resolv.conf")}`, `mount --bind /etc/resolv.conf ${at("/etc/resolv.conf")}`);
  } else {
    // Read-only under what may be written; the mount point itself must be a mount to be sealed.
    lines.unshift("set -e", `mount --bind ${quote(root)} ${quote(root)}`, `cd ${quote(root)}`);
    const [uid = "0", gid = "0"] = (user ?? "").split(":");
    for (const path of sealed.volumes) lines.push(`mount -t tmpfs -o mode=0750,uid=${uid},gid=${gid} tmpfs ${at(path)}`);
    for (const [path, from] of Object.entries(sealed.bound)) lines.push(`mkdir -p ${at(path)}`, `mount --rbind ${quote(from)} ${at(path)}`);
    lines.push(`mount -o remount,bind,ro ${quote(root)}`);
  }
  const variables = Object.entries({ ...lent, ...environment }).map(([name, value]) => quote(`${name}=${value}`));
  const identity = user === undefined ? "" : `--userspec=${user} `;
  const inner = `cd ${quote(folder)} && exec "$@"`;
  lines.push(
    `exec chroot ${identity}${quote(root)} /usr/bin/env -i ${variables.join(" ")} /bin/sh -c ${quote(inner)} sh ${command.map(quote).join(" ")}`,
  );
  return { program: "unshare", args: ["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", lines.join("\n")] };
}

/** Runs it to its end. */
export async function runIn(run: Run): Promise<RunEnd> {
  const { program, args } = commandIn(run);
  return runHere(program, args, run);
}

type Here = Pick<Run, "timeoutMs" | "onOutput">;

/** Runs a program of this machine. */
export async function runHere(program: string, args: readonly string[], { timeoutMs = 900_000, onOutput }: Here = {}): Promise<RunEnd> {
  const child = spawn(program, [...args], { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs, killSignal: "SIGKILL" });
  let output = "";
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
    onOutput?.(chunk.toString());
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  return { code, output };
}

/** What must succeed. */
export async function mustRun(program: string, args: readonly string[], options: Here = {}): Promise<string> {
  const { code, output } = await runHere(program, args, options);
  if (code === 0) return output;
  throw new FarmError("PROCESS_START_FAILED", { message: `${program} ended with ${String(code)}: ${output.slice(-2_000)}` });
}

/** A minimal Debian, made once per work folder. */
export async function makeBase(work: string, suite: string): Promise<string> {
  const base = join(work, `base-${suite}`);
  if (existsSync(join(base, "etc/debian_version"))) return base;
  await rm(base, { recursive: true, force: true });
  const tools = join(work, "debootstrap");
  if (!existsSync(tools)) {
    const fetched = join(work, "packages");
    await mkdir(fetched, { recursive: true });
    await mustRun("sh", ["-c", `cd ${quote(fetched)} && apt-get download debootstrap && dpkg -x debootstrap_*.deb ${quote(tools)}`]);
  }
  const script = `DEBOOTSTRAP_DIR=${quote(join(tools, "usr/share/debootstrap"))} exec ${quote(join(tools, "usr/sbin/debootstrap"))} --variant=minbase ${quote(suite)} ${quote(base)} http://deb.debian.org/debian`;
  await mustRun("sh", ["-c", script]);
  // As slim images are: no lists, no packages, no handbooks.
  const left = ["var/lib/apt/lists", "var/cache/apt/archives", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"];
  for (const path of left) await mustRun("find", [join(base, path), "-mindepth", "1", "-delete"]);
  return base;
}

/** A root of its own with the same content. */
export async function copyRoot(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mustRun("cp", ["-a", "--reflink=auto", from, to]);
}

/** Files into a root, owned by root. */
export async function copyInto(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true, force: true });
}
