import { describe, expect, it } from "vitest";
import { httpStatusOf } from "../../../services/coordinator/http/http-status.ts";
import { errorTable } from "../../../services/domain/errors.ts";

describe("the HTTP status of a failure", () => {
  it.each(Object.entries(errorTable))("exists for %s", (code, { status }) => {
    expect(httpStatusOf({ status, code })).toBeGreaterThanOrEqual(400);
  });

  it.each([
    ["UNIMPLEMENTED", "METHOD_NOT_ALLOWED", 405],
    ["INVALID_ARGUMENT", "REQUEST_TOO_LARGE", 413],
    ["INVALID_ARGUMENT", "CONTENT_TYPE_REFUSED", 415],
    ["INVALID_ARGUMENT", "RANGE_NOT_SATISFIABLE", 416],
    ["INVALID_ARGUMENT", "FIELD_INVALID", 400],
    ["UNIMPLEMENTED", undefined, 501],
    ["OUT_OF_RANGE", undefined, 400],
    ["UNKNOWN", "A_CODE_OF_A_NEWER_FARM", 500],
    ["NOTHING_THAT_GRPC_KNOWS", undefined, 500],
  ])("of %s with code %s is %i", (status, code, expected) => {
    expect(httpStatusOf({ status, code })).toBe(expected);
  });
});
