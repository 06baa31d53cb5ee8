/**
 * `scheduler_config.json` key by key: what is not understood is MODEL_INVALID, because guessing would render something else than the model
 * was trained for.
 */
import { FarmError } from "../../errors.ts";

/** Takes keys one by one, so that those left over are known to be foreign. */
export class ConfigReader {
  private readonly left: Map<string, unknown>;

  private constructor(entries: Readonly<Record<string, unknown>>) {
    this.left = new Map(Object.entries(entries));
  }

  /** Opens the parsed JSON of a config; anything but an object is refused. */
  static open(json: unknown): ConfigReader {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw configRefused("it is no object");
    return new ConfigReader(json as Readonly<Record<string, unknown>>);
  }

  /** The value of a key, or what diffusers takes where the key is absent. */
  take(key: string, fallback: unknown): unknown {
    const value = this.left.has(key) ? this.left.get(key) : fallback;
    this.left.delete(key);
    return value;
  }

  /** A finite number. */
  number(key: string, fallback: number): number {
    const value = this.take(key, fallback);
    if (typeof value !== "number" || !Number.isFinite(value)) throw configRefused(`${key} ${JSON.stringify(value)} is no number`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.take(key, fallback);
    if (typeof value !== "boolean") throw configRefused(`${key} ${JSON.stringify(value)} is neither true nor false`);
    return value;
  }

  /** A list of integers from 0. */
  counts(key: string, fallback: readonly number[]): readonly number[] {
    const value = this.take(key, fallback);
    const valid = Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && Number(entry) >= 0);
    if (!valid) throw configRefused(`${key} ${JSON.stringify(value)} is no list of counts`);
    return value as readonly number[];
  }

  /** One of the values that are understood. */
  expect<Value>(key: string, supported: readonly Value[], fallback: unknown): Value {
    const value = this.take(key, fallback);
    const match = supported.find((candidate) => candidate === value);
    if (match === undefined) throw configRefused(`${key} ${JSON.stringify(value)} is not supported, only ${JSON.stringify(supported)}`);
    return match;
  }

  /** Refuses what is left, but for keys that are known to change nothing. */
  finish(unused: readonly string[]): void {
    const foreign = [...this.left.keys()].filter((key) => !key.startsWith("_") && !unused.includes(key));
    if (foreign.length > 0) throw configRefused(`unknown keys: ${foreign.join(", ")}`);
  }
}

/** MODEL_INVALID that names the file. */
export function configRefused(reason: string): FarmError {
  return new FarmError("MODEL_INVALID", { message: `scheduler_config.json: ${reason}` });
}
