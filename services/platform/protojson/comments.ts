/**
 * The comments that stand before things in the protos, from the descriptors' source information.
 */
import type { DescEnum, DescEnumValue, DescField, DescFile, DescMessage, DescMethod } from "@bufbuild/protobuf";

/** What comments are asked about. */
export type Commented = DescMessage | DescField | DescEnum | DescEnumValue | DescMethod;

/** The comment before a thing, its lines joined; empty when there is none. */
export function commentOf(thing: Commented): string {
  const wanted = placeOf(thing);
  if (wanted === undefined) return "";
  const key = wanted.path.join(".");
  const location = wanted.file.proto.sourceCodeInfo?.location.find(({ path }) => path.join(".") === key);
  return (location?.leadingComments ?? "").replace(/\s*\n\s*/g, " ").trim();
}

type Place = { readonly file: DescFile; readonly path: readonly number[] };

// Field numbers of descriptor.proto: FileDescriptorProto.message_type, enum_type, service; DescriptorProto.field, nested_type, enum_type; ..
const numbers = {
  fileMessage: 4,
  fileEnum: 5,
  fileService: 6,
  messageField: 2,
  messageMessage: 3,
  messageEnum: 4,
  enumValue: 2,
  serviceMethod: 2,
};

function placeOf(thing: Commented): Place | undefined {
  switch (thing.kind) {
    case "message":
    case "enum":
      return typePlace(thing);
    case "field":
      return below(typePlace(thing.parent), numbers.messageField, thing.parent.proto.field.indexOf(thing.proto));
    case "enum_value":
      return below(typePlace(thing.parent), numbers.enumValue, thing.parent.proto.value.indexOf(thing.proto));
    case "rpc": {
      const { file, proto } = thing.parent;
      const service = { file, path: [numbers.fileService, file.proto.service.indexOf(proto)] };
      return below(service, numbers.serviceMethod, proto.method.indexOf(thing.proto));
    }
  }
}

function typePlace(type: DescMessage | DescEnum): Place {
  const { file, parent } = type;
  if (type.kind === "message") {
    if (parent === undefined) return { file, path: [numbers.fileMessage, file.proto.messageType.indexOf(type.proto)] };
    return below(typePlace(parent), numbers.messageMessage, parent.proto.nestedType.indexOf(type.proto));
  }
  if (parent === undefined) return { file, path: [numbers.fileEnum, file.proto.enumType.indexOf(type.proto)] };
  return below(typePlace(parent), numbers.messageEnum, parent.proto.enumType.indexOf(type.proto));
}

function below({ file, path }: Place, number: number, index: number): Place {
  return { file, path: [...path, number, index] };
}
