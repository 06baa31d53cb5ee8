/**
 * Reading protobuf without repairing it: the specification wants strings to be UTF-8, and what is repaired silently would be stored.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A reader that throws where a string is no UTF-8; the generated `decode` functions take it in place of bytes. */
export function strictReader(bytes: Uint8Array): BinaryReader {
  return new BinaryReader(bytes, (text) => strictUtf8.decode(text));
}
