/**
 * NATS: reachable, new enough, with JetStream and room for the farm's messages.
 */
import { toFarmError } from "../../../domain/errors.ts";
import { type NatsFacts, probeNats } from "../../../platform/nats/probe.ts";
import { bytesText } from "../../../domain/bytes-text.ts";
import { type Check, fail, ok, skip, type Verdict } from "../verdict.ts";

/** Pure. */
export function judgeNats(found: NatsFacts | { readonly reason: string }): readonly Verdict[] {
  if ("reason" in found) return [fail("NATS", `does not answer: ${found.reason}`, "start nats-server, or correct NATS_URL")];
  const [major = 0, minor = 0] = found.version.split(".").map(Number);
  const isNew = major > 2 || (major === 2 && minor >= 12);
  return [
    isNew ? ok("NATS", found.version) : fail("NATS", `${found.version}, 2.12 or newer is needed`, "upgrade nats-server"),
    found.hasJetStream ? ok("JetStream", "on") : fail("JetStream", "off", "start nats-server with -js and a storage folder (-sd)"),
    found.maxPayloadBytes >= 1024 ** 2
      ? ok("max payload", bytesText(found.maxPayloadBytes))
      : fail("max payload", bytesText(found.maxPayloadBytes), "set max_payload to 1MB or more in nats-server's configuration"),
  ];
}

/** Connects to the broker. */
export const natsCheck: Check = {
  name: "NATS",
  async run({ natsUrl }) {
    if (natsUrl === undefined) return [skip("NATS", "no farm runs on the data folder and NATS_URL is not set")];
    return judgeNats(await probeNats(natsUrl).catch((thrown: unknown) => ({ reason: toFarmError(thrown).message })));
  },
};
