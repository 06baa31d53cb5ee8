import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findServed } from "../../../services/coordinator/http/router.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { matchTemplate, parseTemplate, splitPath } from "../../../services/platform/protojson/path-template.ts";

const valuesOf = (template: string, path: string) => {
  const values = matchTemplate(parseTemplate(template), splitPath(path));
  return values === undefined ? undefined : Object.fromEntries(values);
};

function refusalOf(work: () => unknown): FarmError | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return thrown instanceof FarmError ? thrown : undefined;
  }
}

describe("a path template", () => {
  it.each([
    ["/v1/jobs", "/v1/jobs", {}],
    ["/v1/jobs", "/v1/jobs/", undefined],
    ["/v1/jobs", "/v1/jobs:batch", undefined],
    ["/v1/jobs:batch", "/v1/jobs:batch", {}],
    ["/v1/jobs:batch", "/v1/jobs", undefined],
    ["/v1/jobs/{job_id}", "/v1/jobs/a", { job_id: "a" }],
    ["/v1/jobs/{job_id}", "/v1/jobs/", undefined],
    ["/v1/jobs/{job_id}", "/v1/jobs/a/b", undefined],
    ["/v1/jobs/{job_id}", "/v1/jobs/a:watch", undefined],
    ["/v1/jobs/{job_id}", "/v1/jobs/a%3Awatch", { job_id: "a:watch" }],
    ["/v1/jobs/{job_id}", "/v1/jobs/a%2Fb", { job_id: "a/b" }],
    ["/v1/jobs/{job_id}", "/V1/jobs/a", undefined],
    ["/v1/jobs/{job_id}:watch", "/v1/jobs/a:watch", { job_id: "a" }],
    ["/v1/jobs/{job_id}:watch", "/v1/jobs/a:watch:watch", undefined],
    ["/v1/jobs/{job_id}:watch", "/v1/jobs/:watch", undefined],
    ["/v1/jobs/{job_id}/renders/{position}:retry", "/v1/jobs/a/renders/3:retry", { job_id: "a", position: "3" }],
    ["/v1/jobs/{job_id}/renders/{position}", "/v1/jobs/a:b/renders/3", { job_id: "a:b", position: "3" }],
  ])("%s and %s", (template, path, expected) => {
    expect(valuesOf(template, path)).toEqual(expected);
  });

  it("gives back any value that was encoded into it", () => {
    const value = fc.string({ minLength: 1, unit: "grapheme" });
    fc.assert(
      fc.property(value, value, (one, other) => {
        const path = `/v1/jobs/${encodeURIComponent(one)}/artifacts/${encodeURIComponent(other)}:url`;
        expect(valuesOf("/v1/jobs/{job_id}/artifacts/{name}:url", path)).toEqual({ job_id: one, name: other });
      }),
    );
  });

  it.each(["jobs", "/v1/{job_id=**}", "/v1/*", "/v1/jobs:a:b", "/v1//jobs"])("of another form is refused: %s", (template) => {
    expect(refusalOf(() => parseTemplate(template))?.code).toBe("INTERNAL");
  });
});

describe("what is served under a path", () => {
  const served = [
    ["GET", "/v1/uploads/{upload_id}"],
    ["PUT", "/v1/uploads/{upload_id}"],
    ["GET", "/v1/uploads/newest"],
  ].map(([verb = "", template = ""]) => ({ verb, template: parseTemplate(template) }));

  it("is the template with more literals", () => {
    expect(findServed(served, "GET", "/v1/uploads/newest").served.template.text).toBe("/v1/uploads/newest");
    expect(findServed(served, "GET", "/v1/uploads/other").served.template.text).toBe("/v1/uploads/{upload_id}");
    expect(findServed(served, "PUT", "/v1/uploads/newest").served.verb).toBe("PUT");
  });

  it("answers HEAD as GET, and other methods with those that there are", () => {
    expect(findServed(served, "HEAD", "/v1/uploads/a").served.verb).toBe("GET");
    expect(refusalOf(() => findServed(served, "DELETE", "/v1/uploads/a"))?.details["allow"]).toBe("GET, HEAD, PUT");
    expect(refusalOf(() => findServed(served, "GET", "/v1/other"))?.code).toBe("ROUTE_UNKNOWN");
  });
});
