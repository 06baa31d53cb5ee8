/**
 * The farm's one JSON of a message, for those who hold it encoded: the same that HTTP answers with.
 *
 * ts-proto's `toJSON` leaves out what is zero, so a reader of it needs the proto to know a 0 from nothing; nothing outside may read it.
 */
import { createFileRegistry, fromBinary, type JsonValue } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { FarmError } from "../../domain/errors.ts";
import { binaryToJson } from "./json-message.ts";

/** Writes an encoded message of a full type name, e.g. `vapfarm.v1.Job`. */
export type MessageJson = (typeName: string, bytes: Uint8Array) => JsonValue;

/** A writer for the messages of a serialized FileDescriptorSet. */
export function createMessageJson(descriptorSet: Uint8Array): MessageJson {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  return (typeName, bytes) => {
    const message = registry.getMessage(typeName);
    if (message === undefined) throw new FarmError("INTERNAL", { message: `the descriptors do not have ${typeName}` });
    return binaryToJson(message, bytes, registry);
  };
}
