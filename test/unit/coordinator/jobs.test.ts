import { expect, it } from "vitest";
import { jobUnknown } from "../../../services/coordinator/rpc/jobs.ts";

it("a job that is not there reads the same for a tenant's caller and for an admin, who sees every tenant", () => {
  const { message, details } = jobUnknown("x".repeat(100));
  expect(details.fields?.map(({ reason }) => reason)).toEqual([`there is no job "${"x".repeat(80)}", or none that the caller may see`]);
  expect(message).not.toContain("this tenant");
});
