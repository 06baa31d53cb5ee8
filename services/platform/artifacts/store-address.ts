/**
 * What `VAPFARM_ARTIFACTS` says: pure.
 *
 * `folder:/absolute/path`, `s3://bucket/prefix`, `jetstream:bucket?replicas=3&max_bytes=…&max_object_bytes=…`
 */
import { isAbsolute } from "node:path";
import { FarmError } from "../../domain/errors.ts";

export type JetStreamAddress = {
  readonly bucket: string;
  readonly replicas: number | undefined;
  readonly maxBytes: number | undefined;
  /** Largest artifact that is taken. */
  readonly maxObjectBytes: number;
};

export type StoreAddress =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string }
  | ({ readonly kind: "jetstream" } & JetStreamAddress);

const usualObjectBytes = 64 * 1024 * 1024;
/** Above it the client's own checks were wrong once (spec: jetstream §4.3). */
const mostObjectBytes = 256 * 1024 * 1024;
const forms = "folder:/absolute/path, s3://bucket/prefix or jetstream:bucket";

/** Throws CONFIG_INVALID saying what is wrong with it. */
export function parseStoreAddress(address: string): StoreAddress {
  const scheme = address.slice(0, address.indexOf(":"));
  const rest = address.slice(scheme.length + 1);
  if (scheme === "folder" && isAbsolute(rest)) return { kind: "folder", path: rest };
  if (scheme === "s3") return s3Address(address);
  if (scheme === "jetstream") return jetStreamAddress(address, rest);
  throw invalid(`"${address}" is no artifact store; use ${forms}`);
}

function s3Address(address: string): StoreAddress {
  const found = /^s3:\/\/(?<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(?<prefix>[A-Za-z0-9!_.'()/-]*))?$/.exec(address)?.groups;
  const bucket = found?.["bucket"];
  if (bucket === undefined) throw invalid(`"${address}" is no bucket; use s3://bucket or s3://bucket/prefix, without query`);
  const folders = (found?.["prefix"] ?? "").split("/").filter((part) => part !== "");
  if (folders.some((part) => part === "." || part === "..")) throw invalid(`the prefix of "${address}" must have no . or ..`);
  return { kind: "s3", bucket, prefix: folders.map((part) => `${part}/`).join("") };
}

function jetStreamAddress(address: string, rest: string): StoreAddress {
  const [bucket = "", query = "", ...more] = rest.split("?");
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(bucket) || more.length > 0) {
    throw invalid(`"${address}" is no bucket; use jetstream:bucket, of letters, digits, - and _`);
  }
  const settings = new Map(new URLSearchParams(query));
  const take = (name: string, most: number): number | undefined => {
    const text = settings.get(name);
    settings.delete(name);
    if (text === undefined) return undefined;
    const value = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : 0;
    if (value >= 1 && value <= most) return value;
    throw invalid(`${name} of "${address}" must be a whole number from 1 to ${most}`);
  };
  const replicas = take("replicas", 5);
  const maxBytes = take("max_bytes", Number.MAX_SAFE_INTEGER);
  const maxObjectBytes = take("max_object_bytes", mostObjectBytes) ?? usualObjectBytes;
  const [unknown] = settings.keys();
  if (unknown === undefined) return { kind: "jetstream", bucket, replicas, maxBytes, maxObjectBytes };
  throw invalid(`"${address}" has ${unknown}, which is none of replicas, max_bytes and max_object_bytes`);
}

function invalid(message: string): FarmError {
  return new FarmError("CONFIG_INVALID", { message: `VAPFARM_ARTIFACTS: ${message}` });
}
