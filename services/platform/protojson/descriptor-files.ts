/**
 * The files of a descriptor set one by one, as they are: what reflection tells clients.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Each google.protobuf.FileDescriptorProto of a google.protobuf.FileDescriptorSet, in its order, as bytes. */
export function descriptorFiles(descriptorSet: Uint8Array): readonly Buffer[] {
  return fromBinary(FileDescriptorSetSchema, descriptorSet).file.map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file)));
}
