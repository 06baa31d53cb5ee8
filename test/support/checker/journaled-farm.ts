/**
 * A farm's client that writes down every call: what it asked before it is sent, what it was told before its caller sees it.
 */
import { createHash } from "node:crypto";
import { FarmError, toFarmError } from "../../../services/domain/errors.ts";
import type { FarmCalls } from "../../../services/client/calls.ts";
import { connectFarm, type FarmClient, type FarmEndpoint } from "../../../services/client/farm-client.ts";
import { FarmServiceService } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { Journal } from "../../../services/platform/journal.ts";
import { kept } from "./kept.ts";

/** Connects with the first call. */
export function journaledFarm(endpoint: FarmEndpoint, journal: Journal<object>): FarmClient {
  return connectFarm(endpoint, (calls) => journaledCalls(calls, journal));
}

type AnyCall = (request: object, control?: unknown) => unknown;

function journaledCalls(calls: FarmCalls, journal: Journal<object>): FarmCalls {
  let asked = 0;
  const idOf = (): string => String((asked += 1));
  const wrapped = Object.entries(calls).map(([name, call]) => {
    const method = FarmServiceService[name as keyof FarmCalls];
    const wrap = method.responseStream ? receiving : answered;
    return [name, wrap({ name, call: call as AnyCall, isSent: method.requestStream, journal, idOf })];
  });
  return Object.fromEntries(wrapped) as FarmCalls;
}

type Wrapped = {
  readonly name: string;
  readonly call: AnyCall;
  /** The request is a stream, whose parts are not kept. */
  readonly isSent: boolean;
  readonly journal: Journal<object>;
  readonly idOf: () => string;
};

function answered({ name, call, isSent, journal, idOf }: Wrapped) {
  return async (request: object, control?: unknown): Promise<unknown> => {
    const id = idOf();
    journal.write({ kind: "asked", id, call: name, request: isSent ? {} : kept(request) });
    try {
      const answer = (await call(request, control)) as object;
      journal.write({ kind: "told", id, answer: kept(answer) });
      return answer;
    } catch (thrown) {
      journal.write({ kind: "refused", id, code: toFarmError(thrown).code });
      throw thrown;
    }
  };
}

function receiving({ name, call, journal, idOf }: Wrapped) {
  return async function* (request: object, control?: unknown): AsyncGenerator {
    const id = idOf();
    journal.write({ kind: "asked", id, call: name, request: kept(request) });
    const hash = name === "downloadArtifact" ? createHash("sha256") : undefined;
    try {
      for await (const message of call(request, control) as AsyncIterable<{ readonly chunk?: Buffer }>) {
        if (hash === undefined) journal.write({ kind: "heard", id, message: kept(message) });
        else hash.update(message.chunk ?? Buffer.of());
        yield message;
      }
      journal.write({ kind: "over", id, ...(hash === undefined ? {} : { bytesSha256: hash.digest("hex") }) });
    } catch (thrown) {
      journal.write({ kind: "refused", id, code: thrown instanceof FarmError ? thrown.code : "INTERNAL" });
      throw thrown;
    }
  };
}
