import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RpcMethod } from "../../../services/platform/protojson/service-map.ts";
import { type PlayedService, serviceMap, startPlayedService } from "../../support/played-service.ts";
import { sampleJson } from "../../support/sample-message.ts";

let service: PlayedService;
beforeAll(async () => {
  service = await startPlayedService();
});
afterAll(() => service.stop());

const { registry } = serviceMap;
const unaryMethods = serviceMap.methods.filter(({ kind }) => kind === "unary");

/** The address and body that carry a request, made without the code under test. */
function httpOf(
  { http, input }: RpcMethod,
  json: Readonly<Record<string, unknown>>,
): { readonly path: string; readonly init: RequestInit } {
  if (http === undefined) throw new TypeError("not annotated");
  const rest: Record<string, unknown> = { ...json };
  const path = http.template.text.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const field = input.fields.find((one) => one.name === name);
    const value = String(rest[field?.jsonName ?? ""]);
    Reflect.deleteProperty(rest, field?.jsonName ?? "");
    return encodeURIComponent(value);
  });
  if (http.hasBody) {
    return { path, init: { method: http.verb, body: JSON.stringify(rest), headers: { "content-type": "application/json" } } };
  }
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) for (const one of [value].flat()) query.append(name, String(one));
  return { path: query.size === 0 ? path : `${path}?${query.toString()}`, init: { method: http.verb } };
}

describe("every method of the service", () => {
  it("has an address, but for the streams whose addresses are their own, and those of gRPC only", () => {
    expect(serviceMap.methods.filter(({ http }) => http === undefined).map(({ name }) => name)).toEqual([
      "SubmitManifest",
      "UploadMedia",
      "UploadModelChunk",
      "DownloadModelChunk",
      "ImportSuite",
    ]);
  });

  it.each(unaryMethods.map((method) => [method.name, method] as const))("%s carries every field there and back", async (name, method) => {
    const request = sampleJson(method.input);
    const answer = fromJson(method.output, sampleJson(method.output), { registry });
    let received: Uint8Array | undefined;
    service.methods.unary.set(name, (bytes) => {
      received = bytes;
      return Promise.resolve(toBinary(method.output, answer));
    });
    const { path, init } = httpOf(method, request);
    const response = await fetch(`${service.url}${path}`, init);
    const body = (await response.json()) as Record<string, unknown>;
    expect({ status: response.status, body }).toEqual({
      status: 200,
      body: toJson(method.output, answer, { registry, alwaysEmitImplicit: true }),
    });
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(received).toBeDefined();
    expect(toJson(method.input, fromBinary(method.input, received ?? new Uint8Array()), { registry })).toEqual(
      toJson(method.input, fromJson(method.input, request)),
    );
  });

  it.each(unaryMethods.map((method) => [method.name, method] as const))(
    "%s may be asked without anything but its path",
    async (name, method) => {
      let received: Uint8Array | undefined;
      service.methods.unary.set(name, (bytes) => {
        received = bytes;
        return Promise.resolve(new Uint8Array());
      });
      const sample = sampleJson(method.input);
      const parameters = method.http?.template.parameters ?? [];
      const fields = method.input.fields.filter((field) => parameters.includes(field.name));
      const request = Object.fromEntries(fields.map((field) => [field.jsonName, sample[field.jsonName]]));
      const { path, init } = httpOf(method, request);
      const response = await fetch(`${service.url}${path}`, init);
      expect(response.status).toBe(200);
      expect(toJson(method.input, fromBinary(method.input, received ?? new Uint8Array()))).toEqual(
        toJson(method.input, fromJson(method.input, request as never)),
      );
    },
  );
});
