/**
 * A process that says which of the named execution providers run here: one JSON line each on stdout. For `vapfarm doctor`, which must not
 * load ONNX Runtime itself: a provider's library that is broken can end the process.
 */
import { toFarmError } from "../../domain/errors.ts";
import { requireProviders } from "./engines/onnx-session.ts";

for (const provider of process.argv.slice(2)) {
  const reason = await requireProviders({ providers: [provider], threads: 1, deviceId: 0 }).then(
    () => undefined,
    (thrown: unknown) => toFarmError(thrown).message,
  );
  process.stdout.write(`${JSON.stringify({ provider, reason })}\n`);
}
