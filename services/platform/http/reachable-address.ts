/**
 * Where a server of this machine is reached, given where it listens: one that listens everywhere is reached over loopback.
 */

/** A host:port to connect to; the empty address of a server that does not listen stays empty. */
export function reachableAddress(listening: string): string {
  return listening.replace(/^(?:0\.0\.0\.0|\[::\]|::)(?=:\d+$)/, "127.0.0.1");
}
