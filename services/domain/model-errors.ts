/**
 * Codes of versions of models, and of the folders on nodes that hold them; part of the table of errors.ts.
 */
import { row } from "./error-row.ts";

/** Code → its row. */
export const modelErrors = {
  MODEL_VERSION_UNKNOWN: row("NOT_FOUND", "input", [
    "the farm has no such version or alias of the model",
    "list the model's versions and choose one of them",
  ]),
  MODEL_VERSION_GONE: row("ABORTED", "input", [
    "the model's version was removed meanwhile",
    "submit again with a version that is there; what has ended can only be submitted anew",
  ]),
  MODEL_PUSH_INCOMPLETE: row("FAILED_PRECONDITION", "input", [
    "chunks of the model are missing in the artifact store",
    "push the folder again: only what is missing is sent",
  ]),
  MODEL_CHUNK_DAMAGED: row("DATA_LOSS", "artifact", [
    "a chunk of the model is missing or damaged in the artifact store",
    "push the model's folder again with --resend",
  ]),
  MODEL_FILES_DAMAGED: row("DATA_LOSS", "engine", [
    "files of a version on this node are not those that were pushed",
    "run `vapfarm models verify` with --repair",
  ]),
  MODEL_BUDGET_EXCEEDED: row("RESOURCE_EXHAUSTED", "capacity", [
    "the model does not fit into the node's budget, and nothing more may be evicted",
    "raise --budget, move aliases away from old versions, or let the jobs end that need them",
  ]),
  MODEL_DISK_FULL: row("RESOURCE_EXHAUSTED", "capacity", [
    "the node's disk has no room for the model",
    "make room on the disk, or set --budget so that old versions are evicted",
  ]),
  MODEL_FOLDER_BUSY: row("UNAVAILABLE", "transient", [
    "another process changes this node's models",
    "wait for it, or allow more time with --wait",
  ]),
  PRELOAD_FAILED: row("FAILED_PRECONDITION", "worker", [
    "an engine that the worker shall hold could not be loaded and run",
    "read the cause; correct the model, the memory or VAPFARM_PRELOAD",
  ]),
  WORKER_STARTING: row("UNAVAILABLE", "transient", ["the worker still loads its engines", "wait until it is ready"]),
} as const;
