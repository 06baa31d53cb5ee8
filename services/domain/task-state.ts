/**
 * The states of tasks and attempts and every legal move between them.
 *
 * Invariants: this is the only table of moves (the database's trigger is compared with it by a test); an
 * illegal move is a value, never an exception; nothing leaves `failed` or `cancelled`: such a key gets a new
 * generation when it is asked for again.
 */
export type TaskState = "blocked" | "ready" | "running" | "delayed" | "succeeded" | "failed" | "cancelled";
export type AttemptState = "running" | "succeeded" | "failed" | "abandoned" | "lost";

export type TaskEvent =
  | "inputs_complete"
  | "claim"
  | "succeed"
  | "retry_now"
  | "retry_later"
  | "give_back"
  | "back_off_over"
  | "lose_input"
  | "exhaust"
  | "lose_users"
  | "lose_output";

export type AttemptEvent = "succeed" | "fail" | "abandon" | "lapse";

export type Move<State> = { readonly kind: "moved"; readonly state: State } | { readonly kind: "illegal" };

type Moves<State extends string, Event extends string> = Readonly<Record<State, Readonly<Partial<Record<Event, State>>>>>;

const taskMoves: Moves<TaskState, TaskEvent> = {
  blocked: { inputs_complete: "ready", lose_users: "cancelled" },
  ready: { claim: "running", lose_input: "blocked", lose_users: "cancelled" },
  running: {
    succeed: "succeeded",
    retry_now: "ready",
    retry_later: "delayed",
    give_back: "ready",
    lose_input: "blocked",
    exhaust: "failed",
    // Only when its attempt has ended: until then the worker hears "unwanted", and a new user takes that back.
    lose_users: "cancelled",
  },
  delayed: { back_off_over: "ready", lose_input: "blocked", lose_users: "cancelled" },
  // Its output is missing from the store: it runs again.
  succeeded: { lose_output: "ready", lose_input: "blocked" },
  failed: {},
  cancelled: {},
};

const attemptMoves: Moves<AttemptState, AttemptEvent> = {
  running: { succeed: "succeeded", fail: "failed", abandon: "abandoned", lapse: "lost" },
  succeeded: {},
  failed: {},
  abandoned: {},
  lost: {},
};

export const taskStates = Object.keys(taskMoves) as readonly TaskState[];
export const attemptStates = Object.keys(attemptMoves) as readonly AttemptState[];

/** Where an event takes a task. */
export function moveTask(state: TaskState, event: TaskEvent): Move<TaskState> {
  const next = taskMoves[state][event];
  return next === undefined ? { kind: "illegal" } : { kind: "moved", state: next };
}

/** Where an event takes an attempt. */
export function moveAttempt(state: AttemptState, event: AttemptEvent): Move<AttemptState> {
  const next = attemptMoves[state][event];
  return next === undefined ? { kind: "illegal" } : { kind: "moved", state: next };
}

/** Whether some event takes a task from one state to the other. */
export function canTaskMove(from: TaskState, to: TaskState): boolean {
  return Object.values(taskMoves[from]).includes(to);
}

/** Whether some event takes an attempt from one state to the other. */
export function canAttemptMove(from: AttemptState, to: AttemptState): boolean {
  return Object.values(attemptMoves[from]).includes(to);
}
