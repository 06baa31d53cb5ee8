import { expect, it } from "vitest";
import { reachableAddress } from "../../../services/platform/http/reachable-address.ts";

it.each([
  ["0.0.0.0:80", "127.0.0.1:80"],
  [":::8080", "127.0.0.1:8080"],
  ["[::]:8080", "127.0.0.1:8080"],
  ["127.0.0.1:80", "127.0.0.1:80"],
  ["10.0.0.0:80", "10.0.0.0:80"],
  ["[::1]:80", "[::1]:80"],
  ["farm.example:443", "farm.example:443"],
  ["", ""],
])("a server that listens at %j is reached at %j", (listening, reached) => {
  expect(reachableAddress(listening)).toBe(reached);
});
