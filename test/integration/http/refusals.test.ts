import { fromBinary, toJson } from "@bufbuild/protobuf";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorTable, FarmError } from "../../../services/domain/errors.ts";
import { methodOf, type PlayedService, startPlayedService } from "../../support/played-service.ts";

let service: PlayedService;
beforeAll(async () => {
  service = await startPlayedService({
    body: { maxBytes: 1_000_000, maxBytesAtOnce: 1_500_000, deadlineMs: 300 },
    publicUrl: "https://farm.example/renders/",
  });
  for (const name of ["SubmitRender", "GetJob", "ListJobs", "GetRender", "CancelJob", "CancelRender"]) {
    service.methods.unary.set(name, () => Promise.resolve(new Uint8Array()));
  }
});
afterAll(() => service.stop());

type Detail = { readonly "@type": string; readonly reason?: string; readonly fieldViolations?: readonly { readonly field: string }[] };
type Failed = { readonly code: number; readonly message: string; readonly details: readonly Detail[] };

async function ask(path: string, init?: RequestInit) {
  const response = await fetch(`${service.url}${path}`, init);
  const text = await response.text();
  const failed = { code: 0, message: "", details: [], ...(JSON.parse(text) as Partial<Failed>) };
  const detail = (name: string) => failed.details.find((one) => one["@type"] === `type.googleapis.com/google.rpc.${name}`);
  const fields = detail("BadRequest")?.fieldViolations?.map(({ field }) => field) ?? [];
  return { status: response.status, headers: response.headers, failed, reason: detail("ErrorInfo")?.reason, fields };
}

const json = (body: string, method = "POST"): RequestInit => ({ method, body, headers: { "content-type": "application/json" } });

describe("a request that is no request of this farm", () => {
  it.each([
    ["an unknown path", "/v1/nothing", {}, 404, "ROUTE_UNKNOWN"],
    ["an empty value in the path", "/v1/jobs/", {}, 404, "ROUTE_UNKNOWN"],
    ["an unknown verb of a resource", "/v1/jobs/a:explode", {}, 404, "ROUTE_UNKNOWN"],
    ["the API's root", "/v1", {}, 404, "ROUTE_UNKNOWN"],
    ["a method that the path does not have", "/v1/jobs/a", { method: "DELETE" }, 405, "METHOD_NOT_ALLOWED"],
    ["a question by another origin", "/v1/jobs", { method: "OPTIONS" }, 405, "METHOD_NOT_ALLOWED"],
    ["a form", "/v1/jobs", { method: "POST", body: new URLSearchParams({ a: "b" }) }, 415, "CONTENT_TYPE_REFUSED"],
    ["text that a page of any origin may post", "/v1/jobs/a:cancel", { method: "POST", body: "{}" }, 415, "CONTENT_TYPE_REFUSED"],
    ["a body without a type", "/v1/jobs/a:cancel", { method: "POST" }, 415, "CONTENT_TYPE_REFUSED"],
    [
      "a body in another encoding of characters",
      "/v1/jobs",
      { method: "POST", body: "{}", headers: { "content-type": "application/json; charset=latin1" } },
      415,
      "CONTENT_TYPE_REFUSED",
    ],
    [
      "a compressed body",
      "/v1/jobs",
      { method: "POST", body: "{}", headers: { "content-type": "application/json", "content-encoding": "gzip" } },
      415,
      "CONTENT_TYPE_REFUSED",
    ],
    ["a body larger than allowed", "/v1/jobs", json(`{"idempotencyKey":"${"a".repeat(1_000_000)}"}`), 413, "REQUEST_TOO_LARGE"],
    ["a body that is no JSON", "/v1/jobs", json("{"), 400, "REQUEST_MALFORMED"],
    ["a list", "/v1/jobs", json("[]"), 400, "REQUEST_MALFORMED"],
    ["null", "/v1/jobs", json("null"), 400, "REQUEST_MALFORMED"],
    ["a query beside a body", "/v1/jobs?priority=1", json("{}"), 400, "REQUEST_MALFORMED"],
    ["a bad percent sign in the path", "/v1/jobs/%zz", {}, 400, "REQUEST_MALFORMED"],
    ["bad UTF-8 in the path", "/v1/jobs/%ff%fe", {}, 400, "REQUEST_MALFORMED"],
    ["bad UTF-8 in the query", "/v1/jobs?tenant=%c3%28", {}, 400, "REQUEST_MALFORMED"],
    ["a deadline that is none", "/v1/jobs/a", { headers: { "x-request-timeout": "soon" } }, 400, "REQUEST_MALFORMED"],
  ] as const)("%s", async (...[, path, init, status, reason]) => {
    const answer = await ask(path, init);
    expect(answer).toMatchObject({ status, reason });
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });

  it("is told which methods the path has", async () => {
    expect((await ask("/v1/jobs", { method: "PATCH" })).headers.get("allow")).toBe("GET, HEAD, POST");
    expect((await ask("/v1/jobs/a:watch", { method: "POST" })).headers.get("allow")).toBe("GET, HEAD");
  });

  it("is told that its bytes are no UTF-8", async () => {
    const init = { ...json(""), body: new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) };
    expect(await ask("/v1/jobs", init)).toMatchObject({ status: 400, reason: "REQUEST_MALFORMED" });
  });
});

describe("a field that is wrong", () => {
  it.each([
    ['{"foo":1}', ["foo"]],
    ['{"render":{"image":{"sha256":3}}}', ["render.image.sha256"]],
    ['{"render":{"references":[{},{"inline":"!!"}]}}', ["render.references[1].inline"]],
    ['{"render":{"references":[{},{"unknown":1}]}}', ["render.references[1].unknown"]],
    ['{"render":{"references":{}}}', ["render.references"]],
    ['{"render":{"scheduler":"NOPE"}}', ["render.scheduler"]],
    ['{"render":{"seed":1.5}}', ["render.seed"]],
    ['{"render":"text"}', ["render"]],
    ['{"deadline":"tomorrow"}', ["deadline"]],
    ['{"priority":99999999999}', ["priority"]],
    ['{"__proto__":{"x":1}}', ["__proto__"]],
    ['{"priority":1,"priority":2}', [""]],
    [`{"render":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, ["render"]],
  ])("%# is named by its path", async (body, fields) => {
    expect(await ask("/v1/jobs", json(body))).toMatchObject({ status: 400, reason: "FIELD_INVALID", fields });
  });

  it.each([
    ["/v1/jobs?foo=1&page_size=2", ["foo"]],
    ["/v1/jobs?page_size=many", ["page_size"]],
    ["/v1/jobs?page_size=1&page_size=2", ["page_size"]],
    ["/v1/jobs?states=JOB_STATE_QUEUED&states=NOPE", ["states[1]"]],
    ["/v1/jobs?created_after.seconds=1", ["created_after.seconds"]],
    ["/v1/jobs?constructor=1&__proto__=2", ["constructor", "__proto__"]],
    ["/v1/jobs/a?job_id=b", ["job_id"]],
    ["/v1/jobs/a/renders/first", ["position"]],
    ["/v1/jobs/a/renders/1.5", ["position"]],
  ])("%s is named by its name", async (path, fields) => {
    expect(await ask(path)).toMatchObject({ status: 400, reason: "FIELD_INVALID", fields });
  });

  it("is a body that says something else than the path", async () => {
    expect(await ask("/v1/jobs/a:cancel", json('{"jobId":"b"}'))).toMatchObject({ status: 400, fields: ["job_id"] });
    expect(await ask("/v1/jobs/a/renders/0:cancel", json('{"position":5}'))).toMatchObject({ status: 400, fields: ["position"] });
    expect(await ask("/v1/jobs/a:cancel", json('{"job_id":"a"}'))).toMatchObject({ status: 200 });
  });
});

describe("a hostile value in the path", () => {
  it.each([
    ["a%2Fb", "a/b"],
    ["a%3Acancel", "a:cancel"],
    ["%00", "\0"],
    ["..%2f..%2fetc", "../../etc"],
    ["%E2%80%AE", "\u202e"],
  ])("%s reaches the method as it was meant, and nothing else", async (sent, meant) => {
    let received: Uint8Array = new Uint8Array();
    service.methods.unary.set("GetJob", (bytes) => {
      received = bytes;
      return Promise.resolve(new Uint8Array());
    });
    expect((await ask(`/v1/jobs/${sent}`)).status).toBe(200);
    const { input } = methodOf("GetJob");
    expect(toJson(input, fromBinary(input, received))).toEqual({ jobId: meant });
  });

  it("may be as long as a request's head", async () => {
    let size = 0;
    service.methods.unary.set("GetJob", (bytes) => {
      size = bytes.length;
      return Promise.resolve(new Uint8Array());
    });
    expect((await ask(`/v1/jobs/${"x".repeat(8_000)}`)).status).toBe(200);
    expect(size).toBeGreaterThan(8_000);
  });

  it("is cut off when the head of the request is too large", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = httpRequest(`${service.url}/v1/farm`, { headers: { "x-bomb": "b".repeat(20_000) } }, ({ statusCode }) =>
        resolve(statusCode),
      );
      call.on("error", reject).end();
    });
    expect(status).toBe(431);
  });
});

describe("a failure of the farm", () => {
  const rows = Object.entries(errorTable) as [keyof typeof errorTable, (typeof errorTable)[keyof typeof errorTable]][];
  const statuses: Readonly<Record<string, number>> = {
    INVALID_ARGUMENT: 400,
    FAILED_PRECONDITION: 400,
    UNAUTHENTICATED: 401,
    PERMISSION_DENIED: 403,
    NOT_FOUND: 404,
    ABORTED: 409,
    RESOURCE_EXHAUSTED: 429,
    CANCELLED: 499,
    INTERNAL: 500,
    DATA_LOSS: 500,
    UNIMPLEMENTED: 501,
    UNAVAILABLE: 503,
    DEADLINE_EXCEEDED: 504,
  };
  const own: Readonly<Record<string, number>> = {
    METHOD_NOT_ALLOWED: 405,
    REQUEST_TOO_LARGE: 413,
    CONTENT_TYPE_REFUSED: 415,
    RANGE_NOT_SATISFIABLE: 416,
  };

  it.each(rows)("%s has the HTTP status of its gRPC status", async (code, row) => {
    service.methods.unary.set("GetFarm", () => Promise.reject(new FarmError(code, { message: "as the test wants" })));
    const answer = await ask("/v1/farm");
    expect(answer).toMatchObject({ status: own[code] ?? statuses[row.status], reason: code, failed: { message: "as the test wants" } });
  });

  it("keeps the fields that it names", async () => {
    const fields = [{ field: "render.image", reason: "is missing", remedy: "give one" }];
    service.methods.unary.set("GetFarm", () => Promise.reject(new FarmError("FIELD_INVALID", { details: { fields } })));
    expect((await ask("/v1/farm")).fields).toEqual(["render.image"]);
  });

  it("says how to authenticate, and when to come again", async () => {
    service.methods.unary.set("GetFarm", () => Promise.reject(new FarmError("CALLER_UNKNOWN")));
    expect((await ask("/v1/farm")).headers.get("www-authenticate")).toMatch(/^Bearer/);
    service.methods.unary.set("GetFarm", () => Promise.reject(new FarmError("DATABASE_UNAVAILABLE")));
    expect((await ask("/v1/farm")).headers.get("retry-after")).toMatch(/^\d+$/);
  });

  it("is a deadline that passed, at the time that the caller set", async () => {
    service.methods.unary.set("GetFarm", () => new Promise(() => undefined));
    expect(await ask("/v1/farm", { headers: { "x-request-timeout": "50ms" } })).toMatchObject({ status: 504, reason: "DEADLINE_PASSED" });
  });

  it("is a caller that went: the method is told", async () => {
    const [arrived, aborted] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    service.methods.unary.set("GetFarm", (_request, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve(undefined));
      arrived.resolve(undefined);
      return new Promise(() => undefined);
    });
    const leaving = new AbortController();
    const asked = ask("/v1/farm", { signal: leaving.signal }).catch(() => "left");
    await arrived.promise;
    leaving.abort();
    expect(await asked).toBe("left");
    await aborted.promise;
  });
});

describe("who calls", () => {
  it.each([
    ["a header", "GET", { authorization: "Bearer abc" }, "Bearer abc"],
    ["a cookie, for reading", "GET", { cookie: "a=b; vapfarm_token=abc; c=d" }, "Bearer abc"],
    ["a header before a cookie", "GET", { authorization: "Bearer abc", cookie: "vapfarm_token=def" }, "Bearer abc"],
    ["nobody by an empty cookie", "GET", { cookie: "vapfarm_token=" }, undefined],
    ["nobody by a cookie that would change something", "POST", { cookie: "vapfarm_token=abc" }, undefined],
  ])("is told by %s", async (...[, method, headers, expected]) => {
    let seen: string | undefined = "not asked";
    const handler = (_request: Buffer, context: { header(name: string): string | undefined }) => {
      seen = context.header("authorization");
      return Promise.resolve(new Uint8Array());
    };
    service.methods.unary.set("ListJobs", handler).set("SubmitRender", handler);
    await ask(
      "/v1/jobs",
      method === "GET" ? { headers } : { method, body: "{}", headers: { ...headers, "content-type": "application/json" } },
    );
    expect(seen).toBe(expected);
  });
});

describe("the Host header", () => {
  const askAs = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      httpRequest(`${service.url}/v1/jobs`, { headers: { host } }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });

  it.each(["localhost", "localhost:8080", "a.localhost", "127.0.0.1:1", "[::1]:80", "10.1.2.3", "farm.example", "FARM.example:443"])(
    "may be %s",
    async (host) => {
      expect(await askAs(host)).toBe(200);
    },
  );

  it.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "farm.example.evil",
    "evil.example:80",
    "a@localhost",
    "local host",
  ])("may not be %s where nobody needs credentials", async (host) => {
    expect(await askAs(host)).toBe(403);
  });

  it("means nothing where every call needs a token", async () => {
    const closed = await startPlayedService({ needsCredentials: true });
    closed.methods.unary.set("ListJobs", () => Promise.resolve(new Uint8Array()));
    const status = await new Promise((resolve, reject) => {
      httpRequest(`${closed.url}/v1/jobs`, { headers: { host: "any.example" } }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).toBe(200);
    await closed.stop();
  });
});

describe("a slow sender", () => {
  it("is refused at the body's deadline, and then cut off", async () => {
    const socket = connect(service.port, "127.0.0.1");
    const head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    let answer = "";
    socket.on("data", (bytes: Buffer) => (answer += bytes.toString()));
    // Cutting off a sender that has not ended may reach it as a reset.
    socket.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.write(head);
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("REQUEST_MALFORMED");
  });
});

describe("many large bodies at once", () => {
  it("are refused before they fill the memory, and leave room when they have gone", async () => {
    const crowded = await startPlayedService({ body: { maxBytes: 1_000_000, maxBytesAtOnce: 1_500_000, deadlineMs: 30_000 } });
    crowded.methods.unary.set("SubmitRender", () => Promise.resolve(new Uint8Array()));
    const send = () => {
      const headers = { "content-type": "application/json", "content-length": 900_001 };
      const call = httpRequest(`${crowded.url}/v1/jobs`, { method: "POST", headers });
      const status = new Promise<number | undefined>((resolve, reject) => {
        call.on("response", (response) => resolve(response.resume().statusCode)).on("error", reject);
      });
      call.write(`{"idempotencyKey":"${"a".repeat(899_978)}`);
      return { status, finish: () => call.end('"}  ') };
    };
    const both = [send(), send()];
    expect(await Promise.race(both.map(({ status }) => status))).toBe(503);
    both.forEach(({ finish }) => finish());
    const statuses = await Promise.all(both.map(({ status }) => status));
    expect(statuses.sort()).toEqual([200, 503]);
    const later = send();
    later.finish();
    expect(await later.status).toBe(200);
    await crowded.stop();
  });
});

describe("while the gRPC server does not listen", () => {
  it("calls are unavailable, and health is not", async () => {
    const stopped = await startPlayedService();
    await stopped.stopGrpc();
    const response = await fetch(`${stopped.url}/v1/farm`);
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain("127.0.0.1");
    expect((await fetch(`${stopped.url}/healthz`)).status).toBe(200);
    await stopped.stop();
  });
});
