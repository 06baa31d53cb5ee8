/**
 * The farms that a person talks to, by name: `$XDG_CONFIG_HOME/vapfarm/config.json`.
 *
 * Invariants: the file is private (0600), since it may hold tokens, and is replaced in one step; a file that cannot be understood is an
 * error that says what to do, never an empty list of contexts.
 */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import type { Environment } from "../../platform/config.ts";
import { writeAtomically } from "../data-folder.ts";

const nameSchema = z.string().regex(/^[\w.@-]{1,64}$/, "1 to 64 letters, digits and any of . _ @ -");

const farmContextSchema = z.strictObject({
  /** gRPC address. */
  address: z.string().min(1),
  /** At most one of the three; read when a command runs. */
  token: z.string().min(1).optional(),
  tokenEnvironment: z.string().min(1).optional(),
  tokenFile: z.string().min(1).optional(),
});

const configSchema = z.strictObject({
  currentContext: nameSchema.optional(),
  contexts: z.record(nameSchema, farmContextSchema).default({}),
});

/** One farm of the file. */
export type FarmContext = z.output<typeof farmContextSchema>;
/** The file. */
export type ContextConfig = z.output<typeof configSchema>;

/** $VAPFARM_CONFIG, else below the user's configuration home. */
export function configPath(environment: Environment): string {
  const named = environment["VAPFARM_CONFIG"];
  if (named !== undefined && named !== "") return named;
  const home = environment["XDG_CONFIG_HOME"];
  return join(home === undefined || home === "" ? join(homedir(), ".config") : home, "vapfarm", "config.json");
}

/** No contexts when there is no file. */
export async function readConfig(path: string): Promise<ContextConfig> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw corrupt(path, (thrown as Error).message);
  });
  if (text === undefined) return { contexts: {} };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (thrown) {
    throw corrupt(path, (thrown as Error).message);
  }
  const checked = configSchema.safeParse(parsed);
  if (checked.success) return checked.data;
  throw corrupt(path, checked.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
}

/** Replaces the file; only its owner can read it. */
export async function writeConfig(path: string, config: ContextConfig): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeAtomically(path, `${JSON.stringify(config, undefined, 2)}\n`);
}

/** FIELD_INVALID unless the name can be a context's. */
export function requireContextName(name: string): void {
  const checked = nameSchema.safeParse(name);
  if (checked.success) return;
  const fields = [{ field: "name", reason: `"${name}" cannot name a context`, remedy: "give 1 to 64 letters, digits and any of . _ @ -" }];
  throw new FarmError("FIELD_INVALID", { message: fields[0]?.reason ?? "", details: { fields } });
}

/** The context, or FIELD_INVALID listing those that there are. */
export function contextOf(config: ContextConfig, name: string): FarmContext {
  const found = Object.hasOwn(config.contexts, name) ? config.contexts[name] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(config.contexts);
  const remedy = known.length === 0 ? `make it: vapfarm config set-context ${name} --address <host:port>` : `choose of ${known.join(", ")}`;
  const fields = [{ field: "context", reason: `there is no context "${name}"`, remedy }];
  throw new FarmError("FIELD_INVALID", { message: `there is no context "${name}"`, details: { fields, remedy } });
}

/** The context's token from where it is kept. */
export async function tokenOf(farm: FarmContext, environment: Environment): Promise<string | undefined> {
  if (farm.token !== undefined) return farm.token;
  if (farm.tokenEnvironment !== undefined) return environment[farm.tokenEnvironment];
  const path = farm.tokenFile;
  if (path === undefined) return undefined;
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    const remedy = "write the token to that file, or change the context with `vapfarm config set-context`";
    throw new FarmError("CONFIG_INVALID", {
      message: `the token file cannot be read: ${(thrown as Error).message}`,
      details: { remedy },
      cause: thrown,
    });
  });
  return text.trim();
}

function corrupt(path: string, why: string): FarmError {
  const remedy = `correct ${path}, or move it away and make its contexts again with \`vapfarm config set-context\``;
  return new FarmError("CONFIG_INVALID", { message: `${path} cannot be understood: ${why}`, details: { remedy } });
}
