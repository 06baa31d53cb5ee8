/**
 * A gRPC service as its descriptors tell it: methods, their messages and the HTTP bindings of their google.api.http options.
 *
 * The descriptors are the only source: what is not annotated has no address, and nothing here knows a method by name. Of the options only
 * what the farm's protos use is understood (one binding, body `*` or none); anything else is refused at the start, not at a call.
 */
import {
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getExtension,
  hasExtension,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { FarmError } from "../../domain/errors.ts";
import { parseTemplate, type PathTemplate } from "./path-template.ts";

/** Where a method is served over HTTP. */
export type HttpBinding = { readonly verb: string; readonly template: PathTemplate; readonly hasBody: boolean };

/** One method of the service. */
export type RpcMethod = {
  /** E.g. `GetJob`. */
  readonly name: string;
  /** E.g. `/vapfarm.v1.FarmService/GetJob`. */
  readonly grpcPath: string;
  readonly kind: DescMethod["methodKind"];
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** Undefined when it is not annotated. */
  readonly http: HttpBinding | undefined;
  readonly descriptor: DescMethod;
};

/** A service and the registry that its messages are found in. */
export type ServiceMap = { readonly methods: readonly RpcMethod[]; readonly registry: FileRegistry };

const optionName = "google.api.http";
const verbs: Readonly<Record<string, string>> = { get: "GET", put: "PUT", post: "POST", delete: "DELETE", patch: "PATCH" };

/** Reads a service from a serialized FileDescriptorSet. */
export function loadServiceMap(descriptorSet: Uint8Array, serviceName: string): ServiceMap {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  const service = registry.getService(serviceName);
  if (service === undefined) throw broken(`the descriptors do not have ${serviceName}`);
  const methods = service.methods.map((descriptor) => ({
    name: descriptor.name,
    grpcPath: `/${serviceName}/${descriptor.name}`,
    kind: descriptor.methodKind,
    input: descriptor.input,
    output: descriptor.output,
    http: bindingOf(registry, descriptor),
    descriptor,
  }));
  return { methods, registry };
}

/** The message of a name; throws when the descriptors do not have it. */
export function messageOf({ registry }: ServiceMap, typeName: string): DescMessage {
  const message = registry.getMessage(typeName);
  if (message === undefined) throw broken(`the descriptors do not have ${typeName}`);
  return message;
}

function bindingOf(registry: FileRegistry, { proto, name, input }: DescMethod): HttpBinding | undefined {
  const extension = registry.getExtension(optionName);
  const ruleType = registry.getMessage("google.api.HttpRule");
  if (extension === undefined || ruleType === undefined) throw broken(`the descriptors do not have ${optionName}`);
  if (proto.options === undefined || !hasExtension(proto.options, extension)) return undefined;
  const rule = toJson(ruleType, getExtension(proto.options, extension) as never) as Readonly<Record<string, unknown>>;
  const { body, ...patterns } = rule;
  const [pattern, ...more] = Object.entries(patterns);
  const verb = verbs[pattern?.[0] ?? ""];
  if (
    pattern === undefined ||
    verb === undefined ||
    more.length > 0 ||
    typeof pattern[1] !== "string" ||
    (body !== undefined && body !== "*")
  ) {
    throw broken(`${name}: an HTTP rule of this form is not served: ${JSON.stringify(rule)}`);
  }
  const template = parseTemplate(pattern[1]);
  const unknown = template.parameters.find((parameter) => !input.fields.some((field) => field.name === parameter));
  if (unknown !== undefined) throw broken(`${name}: its path names ${unknown}, which ${input.name} does not have`);
  return { verb, template, hasBody: body === "*" };
}

function broken(message: string): FarmError {
  return new FarmError("INTERNAL", { message });
}
