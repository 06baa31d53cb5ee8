/**
 * The states of tasks and attempts and every legal move between them.
 *
 * Two places in the diagrams are told apart by more than the column `state`, where both are `running`: a task that runs although nobody
 * wants it any more is `unwanted` until its attempt ends or a new user attaches; an attempt that was claimed ahead is `reserved` until its
 * worker says that it began.
 *
 * Invariants: this is the only table of moves (the database's triggers are compared with it by a test, and so is each SQL function that
 * writes a state); an illegal move is a value, never an exception; nothing leaves `failed` or `cancelled`: such a key gets a new generation
 * when it is asked for again. Renders and jobs have no moves of their own: they derive (`render-state`, `job-state`).
 */
export type TaskState = "blocked" | "ready" | "running" | "delayed" | "succeeded" | "failed" | "cancelled";
export type AttemptState = "running" | "succeeded" | "failed" | "abandoned" | "lost";

export type TaskPlace = TaskState | "unwanted";
export type AttemptPlace = AttemptState | "reserved";

export type TaskEvent =
  /** The last of its inputs is there. */
  | "inputs_complete"
  | "claim"
  | "succeed"
  /** Its attempt failed, was lost, or was given back once more unordered: again at once, again after a wait, or never again. */
  | "retry_now"
  | "retry_later"
  | "exhaust"
  /** Its checkpoint is lost: again from the beginning, uncharged. */
  | "start_anew"
  /** Its worker gave it back; the farm took back what had not begun; the farm took it from its worker for another task. */
  | "give_back"
  | "revoke"
  | "preempt"
  | "back_off_over"
  /** What it takes has to be made again. */
  | "lose_input"
  /** What it made has to be made again. */
  | "lose_output"
  /** A render begins to use it. */
  | "attach"
  /** No open render uses it any more. */
  | "lose_users"
  /** The attempt of an unwanted task ended, otherwise than well. */
  | "drop";

export type AttemptEvent = "begin" | "succeed" | "fail" | "abandon" | "revoke" | "preempt" | "lapse";

export type Move<Place> = { readonly kind: "moved"; readonly to: Place } | { readonly kind: "illegal" };

type Moves<Place extends string, Event extends string> = Readonly<Record<Place, Readonly<Partial<Record<Event, Place>>>>>;

const taskMoves: Moves<TaskPlace, TaskEvent> = {
  blocked: { inputs_complete: "ready", lose_input: "blocked", attach: "blocked", lose_users: "cancelled" },
  ready: { claim: "running", lose_input: "blocked", attach: "ready", lose_users: "cancelled" },
  running: {
    succeed: "succeeded",
    retry_now: "ready",
    retry_later: "delayed",
    exhaust: "failed",
    start_anew: "ready",
    give_back: "ready",
    revoke: "ready",
    preempt: "ready",
    lose_input: "blocked",
    attach: "running",
    lose_users: "unwanted",
  },
  // Its worker hears it by beats. A result that comes all the same counts: whoever asks next has it.
  unwanted: { attach: "running", succeed: "succeeded", drop: "cancelled" },
  delayed: { back_off_over: "ready", lose_input: "blocked", attach: "delayed", lose_users: "cancelled" },
  succeeded: { lose_output: "ready", lose_input: "blocked", attach: "succeeded", lose_users: "succeeded" },
  failed: { lose_users: "failed" },
  cancelled: {},
};

const attemptMoves: Moves<AttemptPlace, AttemptEvent> = {
  // A report says as much as a beat would have: what ended has begun.
  reserved: { begin: "running", succeed: "succeeded", fail: "failed", abandon: "abandoned", revoke: "abandoned", lapse: "lost" },
  running: { succeed: "succeeded", fail: "failed", abandon: "abandoned", preempt: "abandoned", lapse: "lost" },
  succeeded: {},
  failed: {},
  abandoned: {},
  lost: {},
};

/** What may come of a task when its attempt moves; one of these, in the same commit. Nothing does when it begins. */
const consequences: Readonly<Record<AttemptEvent, readonly TaskEvent[]>> = {
  begin: [],
  succeed: ["succeed"],
  fail: ["retry_now", "retry_later", "start_anew", "exhaust", "lose_input", "drop"],
  // One that workers give back again and again, though nobody orders it, waits before the next try.
  abandon: ["give_back", "retry_later", "lose_input", "drop"],
  revoke: ["revoke", "lose_input", "drop"],
  preempt: ["preempt", "lose_input", "drop"],
  lapse: ["retry_now", "retry_later", "exhaust", "lose_input", "drop"],
};

export const taskPlaces = Object.keys(taskMoves) as readonly TaskPlace[];
export const attemptPlaces = Object.keys(attemptMoves) as readonly AttemptPlace[];
export const taskStates = taskPlaces.filter((place) => place !== "unwanted");
export const attemptStates = attemptPlaces.filter((place) => place !== "reserved");

/** Where an event takes a task. */
export function moveTask(from: TaskPlace, event: TaskEvent): Move<TaskPlace> {
  const to = taskMoves[from][event];
  return to === undefined ? { kind: "illegal" } : { kind: "moved", to };
}

/** Where an event takes an attempt. */
export function moveAttempt(from: AttemptPlace, event: AttemptEvent): Move<AttemptPlace> {
  const to = attemptMoves[from][event];
  return to === undefined ? { kind: "illegal" } : { kind: "moved", to };
}

/** Whether the task's event may be what comes of its attempt's. */
export function isConsequence(event: TaskEvent, of: AttemptEvent): boolean {
  return consequences[of].includes(event);
}

/** What the column `state` of a task holds. */
export function storedTaskState(place: TaskPlace): TaskState {
  return place === "unwanted" ? "running" : place;
}

/** What the column `state` of an attempt holds. */
export function storedAttemptState(place: AttemptPlace): AttemptState {
  return place === "reserved" ? "running" : place;
}

/** Whether some event takes a task from one stored state to another. */
export function canTaskMove(from: TaskState, to: TaskState): boolean {
  const targets = taskPlaces.filter((place) => storedTaskState(place) === from).flatMap((place) => Object.values(taskMoves[place]));
  return from !== to && targets.some((place) => storedTaskState(place) === to);
}

/** Whether some event takes an attempt from one stored state to another. */
export function canAttemptMove(from: AttemptState, to: AttemptState): boolean {
  const targets = attemptPlaces
    .filter((place) => storedAttemptState(place) === from)
    .flatMap((place) => Object.values(attemptMoves[place]));
  return from !== to && targets.some((place) => storedAttemptState(place) === to);
}
