import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { apiDocument } from "../../../services/coordinator/http/api-document.ts";
import { serviceMap } from "../../support/played-service.ts";

type Operation = {
  readonly operationId: string;
  readonly description: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly description?: string }[];
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, { readonly description?: string; readonly properties?: object }>> };
};

const text = JSON.stringify(apiDocument(serviceMap, "1.2.3"));
const document = JSON.parse(text) as Document;
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([verb, operation]) => ({ path, verb, ...operation })),
);

describe("the OpenAPI document", () => {
  it("is one", async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text) as Record<string, unknown>)).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  it("has every method once, under its own name, but for those of gRPC only", () => {
    const methods = serviceMap.methods.map(({ name }) => name).filter((name) => !/^(Up|Down)loadModelChunk$/.test(name));
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(methods.sort());
  });

  it("says something of every method, message and parameter", () => {
    const silent = [
      ...operations.filter(({ description }) => description === "").map(({ operationId }) => operationId),
      ...operations.flatMap(({ operationId, parameters = [] }) =>
        parameters.filter(({ description = "" }) => description === "").map(({ name }) => `${operationId}.${name}`),
      ),
      ...Object.entries(document.components.schemas)
        .filter(([, { description = "" }]) => description === "")
        .map(([name]) => name),
    ];
    expect(silent).toEqual([]);
  });

  it("refers only to what it has", () => {
    const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)].map(([, kind, name]) => `${kind ?? ""}/${name ?? ""}`);
    const schemas = Object.keys(document.components.schemas).map((name) => `schemas/${name}`);
    expect([...new Set(references)].filter((reference) => !schemas.includes(reference))).toEqual(["responses/Failure"]);
  });

  it("gives paths their parameters, and bodies no query", () => {
    const watch = document.paths["/v1/jobs/{job_id}:watch"]?.["get"]?.parameters?.map(({ name, in: where }) => `${where} ${name}`);
    expect(watch).toEqual(["path job_id", "query after_event_number"]);
    expect(document.paths["/v1/jobs/{job_id}:cancel"]?.["post"]?.parameters?.map(({ name }) => name)).toEqual(["job_id"]);
    const download = document.paths["/v1/jobs/{job_id}/artifacts/{name}"]?.["get"]?.parameters?.map(({ name }) => name);
    expect(download).toEqual(["job_id", "name", "render_position"]);
  });
});
