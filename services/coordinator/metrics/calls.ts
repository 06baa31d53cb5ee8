/**
 * Rate, errors and duration of everything that is asked of a coordinator: gRPC, HTTP, NATS.
 */
import type { EndedRequest } from "../../platform/http.ts";
import { knownOr, type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type { EndedAsk } from "../dispatch/dispatch-service.ts";
import { codes } from "./labels.ts";

export type EndedCall = { readonly method: string; readonly code: string; readonly seconds: number };

export type CallMetrics = {
  readonly onCall: (call: EndedCall) => void;
  readonly onRequest: (request: EndedRequest) => void;
  readonly onAsk: (ask: EndedAsk) => void;
};

const callSeconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const askSeconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5];
const subjects = ["next", "beat", "report", "canary"];

/** Registers them; pools are those that the coordinator answers for. */
export function createCallMetrics(metrics: Metrics, pools: readonly string[]): CallMetrics {
  const calls = metrics.histogram({
    name: "vapfarm_rpc_seconds",
    help: "Seconds of gRPC calls by method and how they ended",
    labels: ["method", "code"],
    buckets: callSeconds,
  });
  const requests = metrics.histogram({
    name: "vapfarm_http_seconds",
    help: "Seconds of HTTP requests by route, verb and class of status",
    labels: ["route", "verb", "status"],
    buckets: callSeconds,
  });
  const asks = metrics.histogram({
    name: "vapfarm_subject_seconds",
    help: "Seconds of what workers asked over NATS, by subject, pool and how it ended",
    labels: ["subject", "pool", "code"],
    buckets: askSeconds,
  });
  startAtZero(asks, seriesOf("subject", subjects, seriesOf("pool", pools, [{ code: "OK" }])));
  return {
    onCall: ({ method, code, seconds }) => calls.observe({ method, code: knownOr(codes, code) }, seconds),
    onRequest: ({ route, verb, status, seconds }) => requests.observe({ route, verb, status }, seconds),
    onAsk: ({ subject, pool, code, seconds }) => asks.observe({ subject, pool, code: knownOr(codes, code) }, seconds),
  };
}
