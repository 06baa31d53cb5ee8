import { expect, test } from "vitest";
import {
  attemptStates,
  canAttemptMove,
  canTaskMove,
  moveAttempt,
  moveTask,
  taskStates,
  type AttemptEvent,
  type AttemptState,
  type TaskEvent,
  type TaskState,
} from "../../../services/domain/task-state.ts";

const taskEvents = {
  inputs_complete: { blocked: "ready" },
  claim: { ready: "running" },
  succeed: { running: "succeeded" },
  retry_now: { running: "ready" },
  retry_later: { running: "delayed" },
  give_back: { running: "ready" },
  back_off_over: { delayed: "ready" },
  lose_input: { ready: "blocked", running: "blocked", delayed: "blocked", succeeded: "blocked" },
  exhaust: { running: "failed" },
  lose_users: { blocked: "cancelled", ready: "cancelled", running: "cancelled", delayed: "cancelled" },
  lose_output: { succeeded: "ready" },
} satisfies Record<TaskEvent, Partial<Record<TaskState, TaskState>>>;

const attemptEvents = {
  succeed: "succeeded",
  fail: "failed",
  abandon: "abandoned",
  lapse: "lost",
} satisfies Record<AttemptEvent, AttemptState>;

test("every event takes a task from every state where it should, and is illegal elsewhere", () => {
  for (const [event, moves] of Object.entries(taskEvents) as [TaskEvent, Partial<Record<TaskState, TaskState>>][]) {
    for (const state of taskStates) {
      const next = moves[state];
      expect([event, state, moveTask(state, event)]).toEqual([
        event,
        state,
        next === undefined ? { kind: "illegal" } : { kind: "moved", state: next },
      ]);
    }
  }
});

test("every event ends a running attempt, and none moves an ended one", () => {
  for (const [event, next] of Object.entries(attemptEvents) as [AttemptEvent, AttemptState][]) {
    for (const state of attemptStates) {
      expect(moveAttempt(state, event)).toEqual(state === "running" ? { kind: "moved", state: next } : { kind: "illegal" });
    }
  }
});

test("a move is possible exactly when some event makes it", () => {
  for (const from of taskStates) {
    for (const to of taskStates) {
      const isMade = Object.values(taskEvents).some((moves: Partial<Record<TaskState, TaskState>>) => moves[from] === to);
      expect([from, to, canTaskMove(from, to)]).toEqual([from, to, isMade]);
    }
  }
  expect(attemptStates.flatMap((from) => attemptStates.filter((to) => canAttemptMove(from, to)))).toEqual([
    "succeeded",
    "failed",
    "abandoned",
    "lost",
  ]);
});

test("failed and cancelled tasks stay so", () => {
  for (const from of ["failed", "cancelled"] as const) expect(taskStates.some((to) => canTaskMove(from, to))).toBe(false);
});
