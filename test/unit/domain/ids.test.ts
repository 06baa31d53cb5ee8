import { expect, test } from "vitest";
import { isAttemptId, isSha256 } from "../../../services/domain/ids.ts";

test("a hash is 64 lower-case hexadecimal digits", () => {
  expect(isSha256("0".repeat(64))).toBe(true);
  for (const text of ["", "0".repeat(63), "0".repeat(65), "A".repeat(64), `${"0".repeat(64)}\n`]) expect(isSha256(text)).toBe(false);
});

test("a fence is 128 bits in hexadecimal, with or without dashes", () => {
  expect(isAttemptId("01234567-89ab-cdef-0123-456789abcdef")).toBe(true);
  expect(isAttemptId("0123456789abcdef0123456789abcdef")).toBe(true);
  for (const text of ["", "0123", "0123456789ABCDEF0123456789abcdef", "g".repeat(32)]) expect(isAttemptId(text)).toBe(false);
});
