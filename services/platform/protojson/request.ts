/**
 * An HTTP request's path, query and body → the bytes of the method's request message.
 *
 * With a body (always `*`) every field that the path does not give comes from the body, and there are no query parameters. What the path says
 * holds: a body may repeat it, but not say something else.
 */
import type { Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FarmError } from "../../domain/errors.ts";
import { encodeMessage, readJson, readJsonText } from "./json-message.ts";
import { type Parameters, parametersToJson } from "./query.ts";
import type { RpcMethod } from "./service-map.ts";

/** The encoded request of a method; throws FIELD_INVALID or REQUEST_MALFORMED. */
export function requestBytes(method: RpcMethod, parameters: Parameters, body: string | undefined): Uint8Array {
  const { input } = method;
  const given = readJson(input, parametersToJson(input, parameters));
  if (body === undefined) return encodeMessage(input, given);
  if (parameters.query !== "")
    throw new FarmError("REQUEST_MALFORMED", { message: "this path has no query parameters: the body says all" });
  // JSON has no meaning for an absent text; a method without further fields needs none.
  const sent = readJsonText(input, body === "" ? "{}" : body);
  for (const name of parameters.path.keys()) requireAgreement(method, { name, given, sent });
  return Buffer.concat([encodeMessage(input, sent), encodeMessage(input, given)]);
}

type Both = { readonly name: string; readonly given: Message; readonly sent: Message };

function requireAgreement({ input }: RpcMethod, { name, given, sent }: Both): void {
  const field = input.fields.find((one) => one.name === name);
  if (field === undefined) return;
  const ofBody = reflect(input, sent);
  if (!ofBody.isSet(field) || ofBody.get(field) === reflect(input, given).get(field)) return;
  const violation = { field: name, reason: "the body says something else than the path", remedy: "leave it out of the body" };
  throw new FarmError("FIELD_INVALID", { message: `${name}: ${violation.reason}`, details: { fields: [violation] } });
}
