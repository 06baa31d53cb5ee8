/**
 * What every service tells of itself: what it is, and whether NATS is there.
 */
import { startAtZero, type Metrics } from "./metrics.ts";
import type { Broker } from "./nats/broker.ts";

/** Says which program of which version this process runs. */
export function registerBuild(metrics: Metrics, build: { readonly component: string; readonly version: string }): void {
  const labels = { ...build, node: process.versions.node };
  metrics.gauge("vapfarm_build_info", "1; what this process runs", Object.keys(labels)).set(labels, 1);
}

/** Says how the connection is, from the moment that there is one; before it, that it is not. */
export function registerConnection(metrics: Metrics): (broker: Pick<Broker, "isConnected" | "onConnectionChange">) => void {
  let isConnected = (): boolean => false;
  metrics.sampledGauge({
    name: "vapfarm_nats_connected",
    help: "1 while NATS is connected",
    sample: (gauge) => gauge.set(isConnected() ? 1 : 0),
  });
  const reconnects = metrics.counter("vapfarm_nats_reconnects_total", "Connections to NATS that were lost and came back");
  startAtZero(reconnects);
  return (broker) => {
    isConnected = () => broker.isConnected();
    broker.onConnectionChange((connected) => {
      if (connected) reconnects.inc();
    });
  };
}
