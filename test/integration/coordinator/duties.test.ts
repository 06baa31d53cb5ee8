import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobEvent } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { cancel, getJob, type Media, renderRequest, submit, uploadMedia, watch, watchedEvents } from "../../support/farm-calls.ts";
import { claimOf, failureOf, playWorker } from "../../support/played-worker.ts";

const subjects = subjectsOf("local");
const leaseMs = 2_000;
const patience = { timeout: 30_000, interval: 50 };
let farm: CoordinatorFarm;
let running: RunningCoordinator;
let media: Media;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start({
    environment: { VAPFARM_LEASE_MS: String(leaseMs) },
    timings: { reapMs: 100, promotionMs: 100, relayMs: 200, watchPollMs: 500, canaryMs: 200 },
  });
  media = await uploadMedia(running.client);
});
afterAll(() => farm.stop());

async function metric(name: string, { coordinator } = running): Promise<number> {
  const text = await (await fetch(`http://${coordinator.httpAddress()}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** Numbers of a job's events in the stream, in order of the stream. */
async function streamed(jobId: string): Promise<readonly number[]> {
  const manager = await jetstreamManager(farm.broker.connection);
  const numbers: number[] = [];
  const info = await manager.streams.info(subjects.eventStream);
  for (let seq = info.state.first_seq; seq <= info.state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage(subjects.eventStream, { seq });
    if (message?.subject === subjects.events(jobId)) numbers.push(Number(JobEvent.decode(message.data).number));
  }
  return numbers;
}

describe("duties", () => {
  it("let a silent worker's task run again once the beat path is proven", async () => {
    const [silent, other] = await Promise.all([playWorker(farm.broker, farm.artifacts), playWorker(farm.broker, farm.artifacts)]);
    const { jobId } = await submit(running.client, renderRequest(media));
    const lost = await silent.claim();
    await expect
      .poll(async () => {
        const claim = claimOf(await other.next());
        return claim?.taskId === lost.taskId ? claim.attemptNumber : undefined;
      }, patience)
      .toBe(2);
    expect(await metric("vapfarm_lease_losses_total")).toBeGreaterThan(0);
    expect((await silent.beat([lost.attemptId])).outcome).toMatchObject({ $case: "refusal", value: { code: "SESSION_ENDED" } });
    await cancel(running.client, jobId);
    for (const one of [silent, other]) one.stop();
  });

  it("make a task ready again when its back-off has ended", async () => {
    const worker = await playWorker(farm.broker, farm.artifacts);
    const { jobId } = await submit(running.client, renderRequest(media, { prompt: "to be tried again" }));
    const failed = await worker.claim();
    await worker.report([failureOf(failed, "STAGE_FAILED")]);
    await expect.poll(async () => claimOf(await worker.next())?.taskId === failed.taskId, patience).toBe(true);
    await cancel(running.client, jobId);
    worker.stop();
  });

  it("copy events to the stream in order, and go on after the stream was lost with NATS away for a while", async () => {
    const { jobId } = await submit(running.client, renderRequest(media, { prompt: "to be copied" }));
    await cancel(running.client, jobId);
    const { lastEventNumber } = await getJob(running.client, jobId);
    const all = Array.from({ length: Number(lastEventNumber) }, (_one, index) => index + 1);
    await expect.poll(() => streamed(jobId), patience).toEqual(all);

    await farm.nats.halt();
    await farm.nats.lose();
    const unsent = await submit(running.client, renderRequest(media, { prompt: "submitted while NATS is away" }));
    const watched = watchedEvents(watch(running.client, { jobId: unsent.jobId }));
    await cancel(running.client, unsent.jobId);
    expect((await watched).at(-1)?.kind).toBe("job.cancelled");
    const ready = await fetch(`http://${running.coordinator.httpAddress()}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining("BROKER_UNAVAILABLE")]);

    await farm.nats.resume();
    await expect.poll(async () => (await fetch(`http://${running.coordinator.httpAddress()}/readyz`)).status, patience).toBe(200);
    const { lastEventNumber: last } = await getJob(running.client, unsent.jobId);
    await expect.poll(() => streamed(unsent.jobId).catch(() => []), patience).toHaveLength(Number(last));
    await expect.poll(() => metric("vapfarm_events_unsent"), patience).toBe(0);
  });

  it("pass to another coordinator when their holder stops", async () => {
    const second = await farm.start({ timings: { promotionMs: 50 } });
    const rounds = (outcome: string) => metric(`vapfarm_duty_rounds_total{duty="promotion",outcome="${outcome}"}`, second);
    await expect.poll(() => rounds("not_held"), patience).toBeGreaterThan(0);
    expect(await rounds("ran")).toBe(0);
    await running.coordinator.stop();
    await expect.poll(() => rounds("ran"), patience).toBeGreaterThan(0);
    await second.stop();
  });
});
