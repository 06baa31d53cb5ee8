import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { secretsOf, tailOf } from "../../../services/worker/supervise/log-tail.ts";

describe("the tail of a log", () => {
  it("is whole where it fits, else its last whole lines", () => {
    expect(tailOf("one\ntwo\nthree\n", [], 100)).toBe("one\ntwo\nthree\n");
    expect(tailOf("one\ntwo\nthree\n", [], 11)).toBe("two\nthree\n");
    expect(tailOf("a line without an end", [], 10)).toBe("out an end");
  });

  it("never is longer than it may be, and is well formed", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 60 }), (text, most) => {
        const tail = tailOf(text, [], most);
        expect(tail.length).toBeLessThanOrEqual(most);
        expect(tail.isWellFormed()).toBe(true);
        expect(tail).not.toContain("\0");
      }),
    );
  });

  it.each([
    ["the key was hunter2-hunter2!", "the key was [redacted]!"],
    ["GET s3://user:pass@bucket/x", "GET s3://[redacted]@bucket/x"],
    ["authorization: Bearer abcdefgh12345", "authorization: Bearer [redacted]"],
    ["no secret: mail@example.org, a/b@c", "no secret: mail@example.org, a/b@c"],
  ])("says %j as %j", (text, told) => {
    expect(tailOf(text, secretsOf({ MY_SECRET: "hunter2-hunter2", HOME: "/home/x" }))).toBe(told);
  });

  it("hides what an environment names as secret, a longer one before one that it holds, and nothing that is too short to be one", () => {
    const secrets = secretsOf({ AWS_SECRET_ACCESS_KEY: "longer-secret-1", API_TOKEN: "secret-1", DB_PASSWORD: "1", PATH: "/usr/bin" });
    expect(secrets).toEqual(["longer-secret-1", "secret-1"]);
    expect(tailOf("longer-secret-1 secret-1 1 /usr/bin", secrets)).toBe("[redacted] [redacted] 1 /usr/bin");
  });
});
