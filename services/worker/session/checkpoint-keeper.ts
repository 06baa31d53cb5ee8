/**
 * Takes a run's checkpoints to where the next attempt finds them, while the run goes on: hashed, announced, stored, then told in a beat
 * until one is answered.
 *
 * Invariants: the run never waits for it; at most one checkpoint is on its way, and of those that wait only the newest; one that cannot be
 * stored is given up, because a newer one follows. Files are removed here, once they were taken or superseded.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { StageCheckpoint } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { AttemptPorts, Workspace } from "./attempt-ports.ts";
import { withinLimit } from "./time-limit.ts";

export type CheckpointKeeper = {
  /** The run has written one, or could not. */
  take(checkpoint: StageCheckpoint): void;
  isIdle(): boolean;
  /** Settles when nothing is on its way any more; never rejects. */
  untilIdle(): Promise<void>;
  /** Gives up what is on its way, and takes nothing any more. */
  close(): void;
};

type KeeperPorts = Pick<AttemptPorts, "clock" | "announce" | "tell" | "limits" | "onCheckpoint">;
type Kept = { readonly attemptId: string; readonly workspace: Workspace; readonly ports: KeeperPorts };

const mediaType = "application/vnd.safetensors";

/** A keeper of one attempt's checkpoints. */
export function createCheckpointKeeper(kept: Kept): CheckpointKeeper {
  const keeper = new Keeper(kept);
  return {
    take: (checkpoint) => keeper.take(checkpoint),
    isIdle: () => keeper.working === undefined,
    untilIdle: () => keeper.working ?? Promise.resolve(),
    close: () => keeper.close(),
  };
}

class Keeper {
  working: Promise<void> | undefined;
  private readonly kept: Kept;
  private readonly closed = new AbortController();
  private waiting: StageCheckpoint | undefined;

  constructor(kept: Kept) {
    this.kept = kept;
  }

  take(checkpoint: StageCheckpoint): void {
    const { onCheckpoint } = this.kept.ports;
    const { step, tookMs, failure } = checkpoint;
    onCheckpoint({ kind: "written", tookMs });
    if (failure !== "") {
      onCheckpoint({ kind: "failed", step, error: new FarmError("STAGE_FAILED", { message: `it could not be written: ${failure}` }) });
      return;
    }
    if (this.closed.signal.aborted) return;
    this.supersede();
    this.waiting = checkpoint;
    this.working ??= this.work();
  }

  close(): void {
    this.closed.abort();
    this.waiting = undefined;
  }

  private supersede(): void {
    if (this.waiting === undefined) return;
    const { step, path } = this.waiting;
    this.kept.ports.onCheckpoint({ kind: "superseded", step });
    void this.kept.workspace.discard(path);
  }

  private async work(): Promise<void> {
    while (this.waiting !== undefined) {
      const checkpoint = this.waiting;
      this.waiting = undefined;
      await this.keep(checkpoint);
      await this.kept.workspace.discard(checkpoint.path);
    }
    this.working = undefined;
  }

  private async keep({ path, step, sizeBytes }: StageCheckpoint): Promise<void> {
    const { attemptId, workspace, ports } = this.kept;
    const { clock, limits, announce, tell, onCheckpoint } = ports;
    const limit = { clock, ms: limits.uploadMs, signal: this.closed.signal, what: "keeping a checkpoint" };
    try {
      await withinLimit(limit, async (signal) => {
        const files = await workspace.hash([{ name: "checkpoint", path, mediaType, sizeBytes }], signal);
        const artifacts = files.map(({ artifact }) => artifact);
        await announce(attemptId, artifacts, signal);
        for (const file of files) await workspace.putOnce(file, signal);
        for (const { sha256, sizeBytes: bytes } of artifacts) await tell(attemptId, { step, sha256, sizeBytes: bytes }, signal);
      });
      onCheckpoint({ kind: "kept", step });
    } catch (thrown) {
      if (!this.closed.signal.aborted) onCheckpoint({ kind: "failed", step, error: toFarmError(thrown) });
    }
  }
}
