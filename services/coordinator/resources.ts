/**
 * What a coordinator works with; opened before it is built, closed after it has stopped.
 */
import type { ArtifactStore } from "../platform/artifacts/artifact-store.ts";
import type { MediaReader } from "../platform/media/media-reader.ts";
import type { Broker } from "../platform/nats/broker.ts";
import type { OpenCluster } from "./kube/open-cluster.ts";
import type { MetricRepositories, ServedModels } from "./rpc/served-model.ts";
import type { Store } from "./store/store-contract.ts";

/** Handed in from outside, so that tests can play any of them. */
export type Resources = {
  readonly store: Store;
  readonly broker: Broker;
  readonly artifacts: ArtifactStore;
  readonly media: Pick<MediaReader, "inspect">;
  readonly models: ServedModels;
  readonly metrics: MetricRepositories;
  /** Absent: no cluster is asked for workers. */
  readonly openCluster?: OpenCluster | undefined;
};
