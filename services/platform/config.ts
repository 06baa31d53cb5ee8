/**
 * Environment → validated, frozen configuration.
 *
 * Pure: the environment is an argument, and only each service's main.ts reads `process.env`. A wrong
 * value is one CONFIG_INVALID that lists every field; secrets never appear in it.
 */
import { z } from "zod";
import { FarmError } from "../domain/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value that prints as `[redacted]`; `reveal` is the only way to read it. */
export type Secret = { reveal(): string; toJSON(): string; toString(): string };

/** Wraps a secret string. */
export function secret(value: string): Secret {
  return Object.freeze({ reveal: () => value, toJSON: () => "[redacted]", toString: () => "[redacted]" });
}

/** Schema of a secret setting. */
export const secretString = z.string().min(1).transform(secret);

/** Schema of `host:port`, port 0 meaning any free one. */
export const listenAddress = z.string().regex(/^[^\s:]+:\d{1,5}$/, "must be host:port");

/** Schema of a positive whole number written in decimal. */
export const positiveInteger = z.coerce.number().int().positive();

/** Schema of a switch written as 1 or 0. */
export const switchFlag = z.enum(["0", "1"]).transform((text) => text === "1");

/** Parses a setting that holds JSON with an inner schema. */
export function jsonSetting<T extends z.ZodType>(inner: T) {
  return z.string().transform((text, context): z.output<T> => {
    try {
      return inner.parse(JSON.parse(text));
    } catch (thrown) {
      context.addIssue({ code: "custom", message: thrown instanceof z.ZodError ? z.prettifyError(thrown) : "must be JSON" });
      return z.NEVER;
    }
  });
}

/** Reads the settings of a schema from an environment; empty strings count as absent. Throws CONFIG_INVALID. */
export function parseConfig<T extends z.ZodType>(schema: T, environment: Environment): Readonly<z.output<T>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""));
  const result = schema.safeParse(given);
  if (result.success) return Object.freeze(result.data);
  const fields = result.error.issues.map((issue) => ({
    field: issue.path.join("."),
    reason: issue.message,
    remedy: "correct this environment variable",
  }));
  const message = `invalid configuration: ${fields.map(({ field, reason }) => `${field}: ${reason}`).join("; ")}`;
  throw new FarmError("CONFIG_INVALID", { message, details: { fields } });
}
