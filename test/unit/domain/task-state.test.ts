import { expect, test } from "vitest";
import {
  type AttemptEvent,
  type AttemptPlace,
  attemptPlaces,
  attemptStates,
  canAttemptMove,
  canTaskMove,
  isConsequence,
  moveAttempt,
  moveTask,
  storedAttemptState,
  storedTaskState,
  type TaskEvent,
  type TaskPlace,
  taskPlaces,
  taskStates,
} from "../../../services/domain/task-state.ts";

type Moves<Place extends string> = Partial<Record<Place, Place>>;

/** By event, as the design has it; the table itself is by place. */
const taskEvents = {
  inputs_complete: { blocked: "ready" },
  claim: { ready: "running" },
  succeed: { running: "succeeded", unwanted: "succeeded" },
  retry_now: { running: "ready" },
  retry_later: { running: "delayed" },
  exhaust: { running: "failed" },
  start_anew: { running: "ready" },
  give_back: { running: "ready" },
  revoke: { running: "ready" },
  preempt: { running: "ready" },
  back_off_over: { delayed: "ready" },
  lose_input: { blocked: "blocked", ready: "blocked", running: "blocked", delayed: "blocked", succeeded: "blocked" },
  lose_output: { succeeded: "ready" },
  attach: {
    blocked: "blocked",
    ready: "ready",
    running: "running",
    unwanted: "running",
    delayed: "delayed",
    succeeded: "succeeded",
  },
  lose_users: {
    blocked: "cancelled",
    ready: "cancelled",
    running: "unwanted",
    delayed: "cancelled",
    succeeded: "succeeded",
    failed: "failed",
  },
  drop: { unwanted: "cancelled" },
} satisfies Record<TaskEvent, Moves<TaskPlace>>;

const attemptEvents = {
  begin: { reserved: "running" },
  succeed: { reserved: "succeeded", running: "succeeded" },
  fail: { reserved: "failed", running: "failed" },
  abandon: { reserved: "abandoned", running: "abandoned" },
  revoke: { reserved: "abandoned" },
  preempt: { running: "abandoned" },
  lapse: { reserved: "lost", running: "lost" },
} satisfies Record<AttemptEvent, Moves<AttemptPlace>>;

const movesOfTasks = Object.entries(taskEvents) as [TaskEvent, Moves<TaskPlace>][];
const movesOfAttempts = Object.entries(attemptEvents) as [AttemptEvent, Moves<AttemptPlace>][];
const moveTo = <Place>(to: Place | undefined) => (to === undefined ? { kind: "illegal" } : { kind: "moved", to });

test("every event takes a task from every place where it should, and is illegal elsewhere", () => {
  for (const [event, moves] of movesOfTasks) {
    for (const from of taskPlaces) expect([event, from, moveTask(from, event)]).toEqual([event, from, moveTo(moves[from])]);
  }
});

test("every event takes an attempt from every place where it should, and is illegal elsewhere", () => {
  for (const [event, moves] of movesOfAttempts) {
    for (const from of attemptPlaces) expect([event, from, moveAttempt(from, event)]).toEqual([event, from, moveTo(moves[from])]);
  }
});

test("a stored state can become another exactly when an event moves one of its places to one of the other's", () => {
  const taskPairs = movesOfTasks.flatMap(([, moves]) => Object.entries(moves) as [TaskPlace, TaskPlace][]);
  for (const from of taskStates) {
    for (const to of taskStates) {
      const isMade = from !== to && taskPairs.some((pair) => storedTaskState(pair[0]) === from && storedTaskState(pair[1]) === to);
      expect([from, to, canTaskMove(from, to)]).toEqual([from, to, isMade]);
    }
  }
  const ends = attemptStates.flatMap((from) => attemptStates.filter((to) => canAttemptMove(from, to)).map((to) => [from, to]));
  expect(ends).toEqual(["succeeded", "failed", "abandoned", "lost"].map((to) => ["running", to]));
});

test("failed and cancelled tasks stay so, and so does an attempt that ended", () => {
  for (const from of ["failed", "cancelled"] as const) expect(taskStates.some((to) => canTaskMove(from, to))).toBe(false);
  for (const from of attemptPlaces.filter((place) => storedAttemptState(place) !== "running")) {
    expect(movesOfAttempts.filter(([event]) => moveAttempt(from, event).kind === "moved")).toEqual([]);
  }
});

test("whatever ends an attempt takes its task out of running, wanted or not, and beginning changes nothing", () => {
  for (const [event, moves] of movesOfAttempts) {
    const ends = Object.values(moves).every((to) => storedAttemptState(to) !== "running");
    const events = movesOfTasks.map(([taskEvent]) => taskEvent).filter((taskEvent) => isConsequence(taskEvent, event));
    expect([event, events.length > 0]).toEqual([event, ends]);
    for (const place of ["running", "unwanted"] as const) {
      const targets = events.flatMap((taskEvent) => {
        const move = moveTask(place, taskEvent);
        return move.kind === "moved" ? [move.to] : [];
      });
      expect([event, place, targets.length > 0]).toEqual([event, place, ends]);
      expect(targets.filter((to) => storedTaskState(to) === "running")).toEqual([]);
    }
  }
});

test("no event but the end of its attempt takes a task that runs anywhere else", () => {
  const others = movesOfTasks.filter(([event]) => !movesOfAttempts.some(([of]) => isConsequence(event, of)));
  for (const [event] of others) {
    for (const from of ["running", "unwanted"] as const) {
      const move = moveTask(from, event);
      expect([event, move.kind === "moved" ? storedTaskState(move.to) : "running"]).toEqual([event, "running"]);
    }
  }
});
