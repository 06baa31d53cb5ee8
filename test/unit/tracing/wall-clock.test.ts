import { expect, it } from "vitest";
import { createWallClock } from "../../../services/platform/tracing/wall-clock.ts";

it("runs with fractions of a millisecond, and follows the machine's clock when that is set", () => {
  const at = { wall: 1_000_000, even: 5.25 };
  const now = createWallClock({ wall: () => at.wall, even: () => at.even, originMs: 999_995 });
  expect(now()).toBe(1_000_000.25);
  at.even += 0.5;
  expect(now()).toBe(1_000_000.75);
  at.even += 10;
  at.wall += 11;
  expect(now()).toBe(1_000_010.75);
  at.wall += 3_600_000;
  expect(now()).toBe(at.wall);
  at.even += 1;
  at.wall += 1;
  expect(now()).toBe(at.wall);
});
