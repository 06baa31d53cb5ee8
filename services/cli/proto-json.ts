/**
 * Messages of the farm as JSON on stdout: what `--json` prints is what HTTP answers, zeros and empty lists included.
 */
import { readFileSync } from "node:fs";
import { FarmError } from "../domain/errors.ts";
import * as benchMessages from "../gen/proto/vapfarm/v1/bench.ts";
import * as booksMessages from "../gen/proto/vapfarm/v1/books.ts";
import * as farmMessages from "../gen/proto/vapfarm/v1/farm.ts";
import * as modelMessages from "../gen/proto/vapfarm/v1/models.ts";
import * as operatorMessages from "../gen/proto/vapfarm/v1/operator.ts";
import { createMessageJson, type MessageJson } from "../platform/protojson/message-json.ts";

/** A message's generated codec, e.g. `Job`. */
export type Codec<T> = { encode(message: T): { finish(): Uint8Array } };

/** The JSON of a message of farm.proto, operator.proto, books.proto or bench.proto. */
export type ToJson = <T>(codec: Codec<T>, message: T) => unknown;

/** A writer after the descriptors of a file, which is read with the first message. */
export function createToJson(descriptorFile: string): ToJson {
  const names = new Map<unknown, string>(
    Object.entries({ ...farmMessages, ...operatorMessages, ...booksMessages, ...benchMessages, ...modelMessages }).map(([name, value]) => [
      value,
      name,
    ]),
  );
  let write: MessageJson | undefined;
  return (codec, message) => {
    const name = names.get(codec);
    if (name === undefined) throw new FarmError("INTERNAL", { message: "this is no message of the farm" });
    write ??= createMessageJson(readFileSync(descriptorFile));
    return write(`vapfarm.v1.${name}`, codec.encode(message).finish());
  };
}
