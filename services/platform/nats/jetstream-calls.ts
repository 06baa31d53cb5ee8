/**
 * What calls of JetStream come to: the outcome, a failure that the caller expects, or BROKER_UNAVAILABLE.
 */
import { JetStreamApiError } from "@nats-io/jetstream";
import { toFarmError } from "../../domain/errors.ts";

export const streamNotFound = 10059;
export const noMessageFound = 10037;

/** The outcome; every failure is BROKER_UNAVAILABLE. */
export async function unavailable<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (thrown) {
    throw toFarmError(thrown, "BROKER_UNAVAILABLE");
  }
}

/** The outcome, or undefined for one API error that the caller expects. */
export async function expected<T>(promise: Promise<T>, errorCode: number): Promise<T | undefined> {
  try {
    return await promise;
  } catch (thrown) {
    if (thrown instanceof JetStreamApiError && thrown.code === errorCode) return undefined;
    throw toFarmError(thrown, "BROKER_UNAVAILABLE");
  }
}
