/**
 * Reads objects of S3 and of stores that speak its protocol.
 *
 * Credentials are those that the AWS environment holds (variables, web identity, instance role), found by the SDK's own chain. The
 * default endpoints are held to public addresses; an endpoint that the operator names is the operator's own choice. The client is made
 * when the first object is read, so that a farm without s3 needs no region.
 */
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Agent } from "node:https";
import { FarmError } from "../../domain/errors.ts";
import { guardedLookup, type Network } from "./guarded-request.ts";

export type S3Options = {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly network: Network;
  /** Instead of those of the AWS environment. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
};

export type S3Body = { readonly body: AsyncIterable<Uint8Array>; readonly announcedBytes: number | undefined };

export type S3Reader = {
  /** An object by `s3://bucket/key`; FETCH_FAILED when there is none that may be read. */
  open(address: URL, signal: AbortSignal): Promise<S3Body>;
};

const connectMs = 5_000;

/** A reader that has not connected yet. */
export function createS3Reader(options: S3Options): S3Reader {
  let client: S3Client | undefined;
  return {
    async open(address, signal) {
      if (address.search !== "") throw new FarmError("ADDRESS_REFUSED", { message: "has a query, which s3:// has not" });
      client ??= connect(options);
      const command = new GetObjectCommand({ Bucket: address.host, Key: decodeURIComponent(address.pathname.slice(1)) });
      const { Body, ContentLength } = await client.send(command, { abortSignal: signal }).catch((thrown: unknown) => {
        throw failureOf(thrown);
      });
      if (Body === undefined) throw new FarmError("FETCH_FAILED", { message: "has no bytes" });
      return { body: Body as AsyncIterable<Uint8Array>, announcedBytes: ContentLength };
    },
  };
}

function connect({ endpoint, region, network, credentials }: S3Options): S3Client {
  const own = endpoint === undefined ? { httpsAgent: new Agent({ lookup: guardedLookup(network.resolve) }) } : {};
  return new S3Client({
    maxAttempts: 2,
    requestHandler: { connectionTimeout: connectMs, ...own },
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials }),
  });
}

/** The SDK's messages may tell of hosts and accounts: its error's name is enough. */
function failureOf(thrown: unknown): FarmError {
  if (thrown instanceof FarmError) return thrown;
  const name = thrown instanceof Error ? thrown.name : "unknown error";
  return new FarmError("FETCH_FAILED", { message: `S3 answered ${name}`, cause: thrown });
}
