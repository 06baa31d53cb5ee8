import { expect, it } from "vitest";
import { jobMask } from "../../../services/coordinator/rpc/read-mask.ts";
import { Job } from "../../../services/gen/proto/vapfarm/v1/farm.ts";

const job = Job.create({ jobId: "job-1", tenant: "north", lastEventNumber: 4n, fps: 8 });

it.each([
  ["nothing", undefined, job],
  ["an empty mask", [], job],
  ["a star", ["*"], job],
  ["a star beside a name", ["fps", "*"], job],
  ["names of the proto", ["job_id", "last_event_number"], Job.create({ jobId: "job-1", lastEventNumber: 4n })],
  ["names of JSON", ["jobId", "lastEventNumber"], Job.create({ jobId: "job-1", lastEventNumber: 4n })],
] as const)("%s leaves of a job what it names", (_case, paths, left) => {
  expect(jobMask(paths).apply(job)).toEqual(left);
});
