/**
 * A gRPC server with the standard health service and, where asked for, reflection.
 *
 * Invariants: health says NOT_SERVING from the moment that stop begins; stop lets calls end for
 * `drainMs`, then ends them.
 */
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { readFileSync } from "node:fs";
import { FarmError } from "../../domain/errors.ts";
import type { Component } from "../lifecycle.ts";
import { descriptorFiles } from "../protojson/descriptor-files.ts";
import { tolerant } from "./malformed-request.ts";

export type GrpcService = {
  /** Full name, e.g. `vapfarm.v1.FarmService`. */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
};

export type GrpcServerOptions = {
  /** `host:port` (port 0: any free one) or `unix:/absolute/path`. */
  readonly address: string;
  readonly services: readonly GrpcService[];
  readonly maxMessageBytes: number;
  /** File of the descriptor set (google.protobuf.FileDescriptorSet) from which reflection tells of the services; none: no reflection. */
  readonly reflection: { readonly descriptors: string } | undefined;
  readonly drainMs: number;
};

export type GrpcServer = Component & {
  /** Where it listens, once started: what a client connects to. */
  address(): string;
  setServing(serving: boolean): void;
};

/** Builds the server; nothing listens before `start`. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { server, health } = assemble(options);
  let bound = "";
  const setServing = (serving: boolean): void => {
    for (const name of ["", ...options.services.map((service) => service.name)])
      health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  };
  return {
    async start() {
      bound = await bind(server, options.address);
      setServing(true);
    },
    async stop() {
      if (bound === "") return;
      bound = "";
      setServing(false);
      await drain(server, options.drainMs);
    },
    address: () => bound,
    setServing,
  };
}

function assemble(options: GrpcServerOptions): { readonly server: Server; readonly health: HealthImplementation } {
  const server = new Server({
    "grpc.max_receive_message_length": options.maxMessageBytes,
    "grpc.max_send_message_length": options.maxMessageBytes,
  });
  for (const service of options.services) server.addService(tolerant(service.definition), service.implementation);
  const health = new HealthImplementation();
  health.addToServer(server);
  if (options.reflection !== undefined) {
    const definition = readDescriptors(options.reflection.descriptors);
    new ReflectionService(definition, { services: options.services.map(({ name }) => name) }).addToServer(server);
  }
  return { server, health };
}

/** The files as they are: proto-loader would merge those of one package into a file that clients cannot link. */
function readDescriptors(path: string): PackageDefinition {
  const fileDescriptorProtos = [...descriptorFiles(readFileSync(path))];
  const unused = (): never => {
    throw new FarmError("INTERNAL", { message: "reflection reads descriptors only" });
  };
  const format = "Protocol Buffer 3 DescriptorProto" as const;
  const files = { format, type: {}, serialize: unused, deserialize: unused, fileDescriptorProtos };
  return { files };
}

function bind(server: Server, address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error !== null) {
        reject(new FarmError("PROCESS_START_FAILED", { message: `cannot listen on ${address}: ${error.message}`, cause: error }));
        return;
      }
      resolve(address.startsWith("unix:") ? address : address.replace(/:\d+$/, `:${port}`));
    });
  });
}

function drain(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), drainMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      server.forceShutdown();
      resolve();
    });
  });
}
