/**
 * Everything that the coordinator serves over HTTP, in the order in which it is asked: health and metrics, signed links (which prove
 * themselves), then, behind the guard of the Host header where nobody needs credentials, the JSON gateway and the operator pages.
 */
import { readFileSync } from "node:fs";
import { createHttpServer, type HttpOptions, type HttpRoute, type HttpServer } from "../../platform/http.ts";
import { runEach } from "../../platform/lifecycle.ts";
import { loadServiceMap } from "../../platform/protojson/service-map.ts";
import type { Every } from "./event-stream.ts";
import { createFail, type Fail } from "./failure.ts";
import { createGateway } from "./gateway.ts";
import { createHostGuard } from "./host-guard.ts";
import type { BodyLimits } from "./request-body.ts";

/** What the HTTP side stands on. */
export type HttpSideOptions = Omit<HttpOptions, "routes"> & {
  /** File of the serialized FileDescriptorSet of the farm's protos. */
  readonly descriptors: string;
  readonly grpcAddress: () => string;
  readonly maxMessageBytes: number;
  readonly version: string;
  /** The farm's own address, where it has one. */
  readonly publicUrl: string | undefined;
  /** Whether every call needs a token. */
  readonly needsCredentials: boolean;
  /** Routes that need no caller. */
  readonly links?: (fail: Fail) => HttpRoute;
  /** Asked last. */
  readonly pages?: HttpRoute;
  readonly body?: BodyLimits;
  readonly every?: Every;
};

/** The server; it passes calls on to the gRPC server while that listens. */
export function createHttpSide(options: HttpSideOptions): HttpServer {
  const map = loadServiceMap(readFileSync(options.descriptors), "vapfarm.v1.FarmService");
  const fail = createFail(map);
  const gateway = createGateway({ ...options, map, fail });
  const routes = [
    ...(options.links === undefined ? [] : [options.links(fail)]),
    ...(options.needsCredentials ? [] : [createHostGuard(fail, options.publicUrl)]),
    gateway.route,
    ...(options.pages === undefined ? [] : [options.pages]),
  ];
  const server = createHttpServer({ ...options, routes });
  return {
    start: () => server.start(),
    stop: () => runEach([() => server.stop(), () => gateway.stop()]),
    address: () => server.address(),
  };
}
