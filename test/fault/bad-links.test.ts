/**
 * Links between a farm's programs that break, fall silent, or lose, double, delay and swap messages: through proxies of which every worker and
 * coordinator has its own. The lease is 5 s instead of 15 s. Afterwards the checker holds all that was kept against all that was seen.
 */
import { describe, expect, it } from "vitest";
import { toFarmError } from "../../services/domain/errors.ts";
import { outage, unheard } from "../support/fault/judgement.ts";
import type { Fate, SeenMessage } from "../support/fault/nats-proxy.ts";
import { attemptsOf } from "../support/fault/renders.ts";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { drawsOf } from "../support/fault/seed.ts";
import { startTcpProxy } from "../support/fault/tcp-proxy.ts";
import { until } from "../support/until.ts";

const scene = useScene();

const isSaid = ({ subject }: SeenMessage): boolean => /\.(next|beat|report)$/.test(subject);

type FateOf = (message: SeenMessage) => Fate;

/** While `during` lasts, every message of the workers' conversations has the fate that its worker's own `fateOf` says. */
async function withFates(makeFateOf: () => FateOf, during: () => Promise<void>): Promise<void> {
  const proxies = scene().farm.workers.map(({ nats }) => nats);
  for (const proxy of proxies) {
    const fateOf = makeFateOf();
    proxy.fateOf = (message) => (isSaid(message) ? fateOf(message) : "deliver");
  }
  try {
    await unheard(scene().farm, "words have fates", during);
  } finally {
    for (const proxy of proxies) proxy.fateOf = () => "deliver";
  }
}

/** Loses every other reply to `next`: the first answer to each, claims included, so that each must be asked for twice. */
function loseFirstReplies(): FateOf {
  let replies = 0;
  return ({ subject, isReply }) => {
    if (!isReply || !subject.endsWith(".next")) return "deliver";
    replies += 1;
    return replies % 2 === 1 ? "lose" : "deliver";
  };
}

/** Several short renders at once, so that many words are said. */
function submitMany(): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: 6 }, (_, index) => scene().submit(3, index % 2)));
}

describe("a cut connection", () => {
  it(
    "between worker and NATS, coordinators and NATS, coordinators and Postgres costs no run",
    async () => {
      const { farm, worker, disturbed, expectUndisturbed } = scene();
      const { jobId, worker: name } = await disturbed();
      worker(name).nats.cut();
      for (const { nats, postgres } of farm.coordinators) {
        nats.cut();
        postgres.cut();
      }
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );

  it(
    "that stays cut for longer than a lease on every link costs no run",
    async () => {
      const { farm, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      const links = [...farm.workers.map(({ nats }) => nats), ...farm.coordinators.flatMap(({ nats, postgres }) => [nats, postgres])];
      await outage(farm, "every link is cut", async () => {
        for (const link of links) link.refuse();
        await until("the lease lapsed", async () => {
          const [live] = await farm.sql<{ lapsed: boolean }>(
            "select bool_and(lease_until < clock_timestamp()) as lapsed from session where is_live",
          );
          return live?.lapsed === true;
        });
        for (const link of links) link.pass();
      });
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );
});

describe("a half-open connection", () => {
  it(
    "between worker and NATS is found by the worker, which is heard again; its render ends once",
    async () => {
      const { farm, worker, disturbed, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbed();
      const timesBack = async (): Promise<number> => (await farm.log(name)).split("NATS is back").length;
      const before = await timesBack();
      await unheard(farm, `the link of ${name} is half-open`, async () => {
        worker(name).nats.abandon("up", "down");
        await until("the worker has noticed", async () => (await timesBack()) > before);
      });
      await expectSucceeded(jobId);
      expect((await attemptsOf(farm, jobId)).filter(({ state }) => state === "succeeded")).toHaveLength(1);
    },
    timeoutMs,
  );

  it(
    "between one coordinator and NATS costs no run",
    async () => {
      const { coordinator, disturbed, expectSucceeded } = scene();
      const { jobId } = await disturbed();
      coordinator(0).nats.abandon("up", "down");
      await expectSucceeded(jobId);
    },
    timeoutMs,
  );

  it.each(["up", "down"] as const)(
    "between one coordinator and Postgres (%s) delays words, and costs no run",
    async (direction) => {
      const { coordinator, disturbed, expectSucceeded } = scene();
      const { jobId } = await disturbed();
      coordinator(0).postgres.abandon(direction);
      await expectSucceeded(jobId);
    },
    timeoutMs,
  );
});

describe("words between workers and coordinators", () => {
  it.each(["double", "swap"] as const)(
    "may all be said with the fate %s: each render is rendered once",
    async (fate) => {
      await withFates(
        () => () => fate,
        async () => scene().expectUndisturbed(...(await submitMany())),
      );
    },
    timeoutMs,
  );

  it(
    "may be lost, doubled, swapped and delayed as drawn: each render ends once",
    async () => {
      const draws = drawsOf("fates of words");
      const fates = ["deliver", "deliver", "deliver", "deliver", "double", "swap", "lose", { delayMs: draws.between(100, 900) }] as const;
      await withFates(
        () => () => draws.oneOf(fates),
        async () => scene().expectSucceeded(...(await submitMany())),
      );
    },
    timeoutMs,
  );

  it(
    "the first reply to each next may be lost, claims included: the worker asks again and gets the same claim",
    async () => {
      const { submit, expectUndisturbed } = scene();
      await withFates(loseFirstReplies, async () => expectUndisturbed(await submit(3), await submit(3)));
    },
    timeoutMs,
  );
});

describe("words between clients and coordinators", () => {
  it(
    "the reply to a submit may be lost: its repeat through another coordinator gets the job that was stored",
    async () => {
      const { farm, coordinator, request, expectUndisturbed } = scene();
      const link = await startTcpProxy({ port: Number(coordinator(0).program.facts["grpcAddress"]?.split(":").at(-1)) });
      const client = farm.journals.connect(`127.0.0.1:${link.port}`, { name: "through-a-proxy" });
      try {
        const sent = request(3);
        await client.listWorkers();
        link.hold("down");
        const lost = client.submit(sent, { deadlineMs: 10_000 }).catch((thrown: unknown) => toFarmError(thrown).code);
        const stored = () => farm.sql<{ id: string }>("select id from job where idempotency_key = $1", [sent.idempotencyKey]);
        await until("the job is stored", async () => (await stored()).length > 0);
        link.cut();
        expect(await lost).toBe("COORDINATOR_UNAVAILABLE");
        const { jobId } = await coordinator(1).client.submit(sent);
        expect(await stored()).toEqual([{ id: jobId }]);
        await expectUndisturbed(jobId);
      } finally {
        client.close();
        await link.stop();
      }
    },
    timeoutMs,
  );
});
