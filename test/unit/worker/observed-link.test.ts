import { expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { BeatResponse, NextAnswer, NextResponse, ReportResponse } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { Link } from "../../../services/worker/session/exchange.ts";
import { type AskedSubject, observedLink } from "../../../services/worker/session/observed-link.ts";

const subjects: Readonly<Record<string, AskedSubject>> = { n: "next", b: "beat", r: "report" };
const refused = (code: string) => ({ outcome: { $case: "refusal" as const, value: { code, message: "", farmEpoch: 0n } } });

/** How each request ended, as it was told. */
async function told(subject: string, reply: Uint8Array | FarmError): Promise<readonly string[]> {
  const ended: string[] = [];
  const plain: Link = {
    request: () => (reply instanceof FarmError ? Promise.reject(reply) : Promise.resolve(reply)),
    isConnected: () => true,
  };
  const link = observedLink(plain, { subjects, onEnd: (request) => ended.push(`${request.subject} ${request.code}`) });
  const outcome = await link.request(subject, new Uint8Array(), 1).catch((thrown: unknown) => thrown);
  expect(outcome).toBe(reply);
  return ended;
}

it.each([
  {
    what: "an answer",
    subject: "n",
    reply: NextResponse.encode({ outcome: { $case: "answer", value: NextAnswer.create({}) } }).finish(),
    expected: "next OK",
  },
  { what: "a refusal", subject: "b", reply: BeatResponse.encode(refused("SESSION_ENDED")).finish(), expected: "beat SESSION_ENDED" },
  {
    what: "a refusal with a code that nobody knows",
    subject: "r",
    reply: ReportResponse.encode(refused("X".repeat(999))).finish(),
    expected: "report INTERNAL",
  },
  { what: "bytes that are no answer", subject: "r", reply: new Uint8Array([255, 255]), expected: "report PROTOCOL_UNSUPPORTED" },
  { what: "no answer in time", subject: "n", reply: new FarmError("DEADLINE_PASSED"), expected: "next DEADLINE_PASSED" },
  { what: "a connection that is gone", subject: "n", reply: new FarmError("BROKER_UNAVAILABLE"), expected: "next BROKER_UNAVAILABLE" },
])("tells of $what, and lets it through", async ({ subject, reply, expected }) => {
  expect(await told(subject, reply)).toEqual([expected]);
});

it("tells nothing of requests that are not asked of the coordinator", async () => {
  expect(await told("another", new Uint8Array())).toEqual([]);
});
