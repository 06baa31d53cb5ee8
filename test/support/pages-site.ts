/**
 * The operator pages over real HTTP and real gRPC, before a FarmService that answers from a made-up farm: for states that a small farm
 * cannot be brought into at will. What the real service answers is tested with it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createPages } from "../../services/coordinator/pages/pages.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { FarmServiceService, type GetArtifactUrlRequest, type WaitingRenders } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { ConstraintKind } from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { type CallContext, unary } from "../../services/platform/grpc/handlers.ts";
import { createGrpcServer, type GrpcService } from "../../services/platform/grpc/server.ts";
import { createHttpServer, type HttpRoute } from "../../services/platform/http.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { createMetrics } from "../../services/platform/metrics.ts";
import { projectRoot } from "./ffmpeg.ts";
import { worldFailures } from "./pages-failures.ts";
import * as world from "./pages-world.ts";

export type PagesSite = { readonly origin: string; stop(): Promise<void> };

export type SiteOptions = {
  /** The token that callers must give; none: nobody needs one. */
  readonly token?: string;
  readonly publicUrl?: string;
};

type Answers = Readonly<Record<string, (request: never) => unknown>>;

/** Starts both servers. */
export async function startPagesSite({ token, publicUrl }: SiteOptions = {}): Promise<PagesSite> {
  let origin = "";
  const grpc = createGrpcServer({
    address: "127.0.0.1:0",
    services: [playedService(() => origin, token)],
    maxMessageBytes: 4 * 1024 * 1024,
    reflection: undefined,
    drainMs: 100,
  });
  const logger = createLogger({ name: "test", level: "silent" });
  const pages = createPages({ grpcAddress: () => grpc.address(), publicUrl, now: () => world.worldNow, logger });
  const http = createHttpServer({
    address: "127.0.0.1:0",
    ready: () => Promise.resolve(),
    metrics: createMetrics(),
    routes: [media, pages.route],
  });
  await grpc.start();
  await http.start();
  origin = `http://${http.address()}`;
  return {
    origin,
    async stop() {
      await http.stop();
      await pages.stop();
      await grpc.stop();
    },
  };
}

function found<T>(value: T | undefined, code: "JOB_UNKNOWN" | "ARTIFACT_UNKNOWN"): T {
  if (value === undefined) throw new FarmError(code);
  return value;
}

const waitingRenders: readonly WaitingRenders[] = [
  {
    pool: "a100",
    renderCount: 99_000,
    openRenders: 1_000,
    window: 1_000,
    constraint: {
      kind: ConstraintKind.CONSTRAINT_KIND_WINDOW,
      message: "99000 renders wait for the window of pool a100: 1000 of 1000 renders are open, it is full",
      remedy: "wait until some end; the operator sets the window with VAPFARM_OPEN_RENDERS",
    },
  },
];

function answers(origin: () => string): Answers {
  const job = ({ jobId }: { readonly jobId: string }) =>
    found(
      world.worldJobs.find((one) => one.jobId === jobId),
      "JOB_UNKNOWN",
    );
  return {
    getFarm: () => ({ farm: world.worldFarm }),
    listWorkers: () => ({ workers: world.worldWorkers }),
    getWorker: ({ workerId }: { readonly workerId: string }) => ({
      worker: found(
        world.worldWorkers.find((one) => one.workerId === workerId),
        "JOB_UNKNOWN",
      ),
    }),
    listModels: () => ({ models: world.worldModels }),
    getUsage: () => ({ rows: world.worldUsage, total: world.worldUsageTotal }),
    listJobs: ({ states }: { readonly states: readonly number[] }) => ({
      jobs: world.worldJobs.filter(({ state }) => states.length === 0 || states.includes(state)),
      nextPageToken: states.length === 0 ? "a+token/=" : "",
    }),
    getJob: (request: { readonly jobId: string }) => ({ job: job(request) }),
    listRenders: ({ jobId }: { readonly jobId: string }) => ({ renders: world.rendersOf(jobId), nextPageToken: "next" }),
    getRender: ({ jobId, position }: { readonly jobId: string; readonly position: number }) => ({
      render: found(world.rendersOf(jobId)[position], "JOB_UNKNOWN"),
    }),
    listEvents: () => ({ events: world.worldEvents, hasMore: false }),
    listFailures: () => ({ failures: worldFailures, nextPageToken: "next" }),
    explainJob: (request: { readonly jobId: string }) => ({
      state: job(request).state,
      summary: "waits for a worker: 2 of 2 are busy",
      tasks: world.worldExplanations,
      openTasks: 5,
      waitingRenders,
    }),
    getArtifactUrl: ({ name }: GetArtifactUrlRequest) => ({
      url: `${origin()}/a/${name}?s=1`,
      expireTime: world.worldNow,
      artifact: undefined,
    }),
  };
}

function playedService(origin: () => string, token: string | undefined): GrpcService {
  const known = answers(origin);
  const answer = (name: string) =>
    unary((request: unknown, context: CallContext) => {
      if (token !== undefined && context.header("authorization") !== `Bearer ${token}`) throw new FarmError("CALLER_UNKNOWN");
      const method = known[name];
      if (method === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED");
      return Promise.resolve(method(request as never));
    });
  const implementation = Object.fromEntries(Object.keys(FarmServiceService).map((name) => [name, answer(name)]));
  return { name: "vapfarm.v1.FarmService", definition: FarmServiceService, implementation };
}

/** Pictures where signed links lead. */
const media: HttpRoute = async (_request, response, url) => {
  if (!url.pathname.startsWith("/a/")) return undefined;
  const isImage = url.pathname === "/a/input_image";
  const bytes = await readFile(join(projectRoot, isImage ? "demo/image.png" : "demo/clip.mp4"));
  response.writeHead(200, { "content-type": isImage ? "image/png" : "video/mp4", "content-length": bytes.length });
  response.end(bytes);
  return "/a/{link}";
};
