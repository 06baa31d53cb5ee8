import { expect, it } from "vitest";
import { roundHalfEven } from "../../../services/domain/vap/round-half-even.ts";

it.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [254.5, 254],
  [2.4999, 2],
  [2.5001, 3],
  [7, 7],
])("rounds %d to %d, as numpy does", (value, expected) => {
  expect(roundHalfEven(value)).toBe(expected);
});
