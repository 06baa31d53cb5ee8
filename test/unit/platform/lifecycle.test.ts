import { describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { pause, withDeadline } from "../../../services/platform/deadline.ts";
import { type Component, runEach, sequence } from "../../../services/platform/lifecycle.ts";

function recorder(log: string[]): (name: string, startFails?: boolean) => Component {
  return (name, startFails = false) => ({
    start() {
      log.push(`start ${name}`);
      return startFails ? Promise.reject(new FarmError("INTERNAL", { message: name })) : Promise.resolve();
    },
    stop() {
      log.push(`stop ${name}`);
      return Promise.resolve();
    },
  });
}

describe("sequence", () => {
  it("starts in order and stops in reverse, once", async () => {
    const log: string[] = [];
    const make = recorder(log);
    const all = sequence([make("a"), make("b")]);
    await all.stop();
    await all.start();
    await all.stop();
    await all.stop();
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  it("stops what had started when a later start fails, the failed one too", async () => {
    const log: string[] = [];
    const make = recorder(log);
    const all = sequence([make("a"), make("b", true), make("c")]);
    await expect(all.start()).rejects.toThrow("b");
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });
});

describe("runEach", () => {
  it("runs every step in order, also after one failed, and throws the first failure", async () => {
    const log: string[] = [];
    const step = (name: string, fails: boolean) => () => {
      log.push(name);
      return fails ? Promise.reject(new FarmError("INTERNAL", { message: name })) : Promise.resolve();
    };
    await expect(runEach([step("a", false), step("b", true), step("c", true), step("d", false)])).rejects.toThrow("b");
    expect(log).toEqual(["a", "b", "c", "d"]);
  });

  it("lets a sequence stop the rest when one component cannot stop", async () => {
    const log: string[] = [];
    const make = recorder(log);
    const stuck: Component = {
      start: () => Promise.resolve(),
      stop: () => Promise.reject(new FarmError("INTERNAL", { message: "stuck" })),
    };
    const all = sequence([make("a"), stuck, make("c")]);
    await all.start();
    await expect(all.stop()).rejects.toThrow("stuck");
    expect(log).toEqual(["start a", "start c", "stop c", "stop a"]);
  });
});

describe("withDeadline", () => {
  it("passes the outcome on when it comes in time", async () => {
    await expect(withDeadline(Promise.resolve(7), { ms: 1_000, what: "it" })).resolves.toBe(7);
  });

  it("rejects with the given code when nothing comes", async () => {
    const never = new Promise<never>(() => undefined);
    await expect(withDeadline(never, { ms: 1, what: "the answer", code: "DATABASE_UNAVAILABLE" })).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: "the answer took longer than 1 ms",
    });
  });
});

describe("pause", () => {
  it("ends at once when the signal is or becomes aborted", async () => {
    await pause(3_600_000, AbortSignal.abort());
    const controller = new AbortController();
    const waiting = pause(3_600_000, controller.signal);
    controller.abort();
    await waiting;
    expect(controller.signal.aborted).toBe(true);
  });
});
