/**
 * Shows a run until it has ended or the person leaves: a live table on a terminal, lines in a pipe, nothing for scripts.
 *
 * Streams that break are opened again and a farm that is away is waited for. The run goes on whoever watches.
 */
import type { FarmClient } from "../../client/farm-client.ts";
import type { GetRunResponse, Run } from "../../gen/proto/vapfarm/v1/bench.ts";
import { pause } from "../../platform/deadline.ts";
import { spanText } from "../ages.ts";
import type { CliContext } from "../context.ts";
import { createLiveView } from "../live-view.ts";
import { emptyBoard, foldRun, fractionOf, leftMs, type RunBoard, type RunPicture, runLine, runText } from "./run-board.ts";

/** Which run, and how it is asked for. */
export type Following = { readonly client: FarmClient; readonly runId: string; readonly asJson: boolean; readonly intervalMs?: number };

const defaultIntervalMs = 1_000;
/** Means are made of every score of the run each time: one look of so many asks for them. */
const looksPerScores = 10;

/** The run as it ended; undefined when the person left. */
export async function followRun(context: CliContext, following: Following): Promise<GetRunResponse | undefined> {
  const { client, runId } = following;
  const left = new AbortController();
  const release = context.interrupts.take(() => left.abort());
  const signal = AbortSignal.any([left.signal, context.interrupts.signal]);
  const onOutage = (): void => context.output.note("  the farm does not answer; asking again");
  const show = createShow(context, following.asJson);
  try {
    await watchBoth({ ...following, signal, onOutage, show: (picture) => show.picture(picture) });
    return signal.aborted ? undefined : await client.getRunPatiently(runId, { signal, onOutage });
  } catch (thrown) {
    if (signal.aborted) return undefined;
    throw thrown;
  } finally {
    release();
    show.stop();
  }
}

type Watching = Following & {
  readonly signal: AbortSignal;
  readonly onOutage: () => void;
  readonly show: (picture: RunPicture) => void;
};

/** Events tell of stages; how many rows and scores have ended, and the running means, the farm is asked every so often. */
async function watchBoth({ client, runId, signal, onOutage, show, intervalMs = defaultIntervalMs }: Watching): Promise<void> {
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  let board: RunBoard = emptyBoard;
  const events = async (): Promise<void> => {
    for await (const response of client.watch(runId, { signal: until, onOutage })) board = foldRun(board, response);
  };
  const looks = async (): Promise<void> => {
    let since: RunPicture["since"] | undefined;
    let last: GetRunResponse | undefined;
    for (let look = 0; !until.aborted; look += 1) {
      const withoutScores = look % looksPerScores !== 0;
      const answer = withLastScores(await client.getRunPatiently(runId, { signal, withoutScores }), withoutScores ? last : undefined);
      last = answer;
      const now = new Date();
      since ??= { time: now, fraction: answer.run === undefined ? 0 : fractionOf(answer.run) };
      show({ answer, board, now, since });
      await pause(intervalMs, until);
    }
  };
  const endBoth = (): void => ended.abort();
  await Promise.all([events().finally(endBoth), looks().finally(endBoth)]);
}

/** What was asked without scores shows those of the look before. */
function withLastScores(answer: GetRunResponse, last: GetRunResponse | undefined): GetRunResponse {
  return last === undefined ? answer : { ...answer, setScores: last.setScores, finalScores: last.finalScores };
}

type Show = { picture(picture: RunPicture): void; stop(): void };

function createShow({ output }: CliContext, asJson: boolean): Show {
  if (asJson) return { picture: () => undefined, stop: () => undefined };
  if (!output.screen.isTerminal) return lines((text) => output.note(text));
  const view = createLiveView(output);
  return {
    picture: (picture) => view.show(runText(picture, { paint: output.paint, width: output.screen.columns() })),
    stop: () => view.stop(),
  };
}

function lines(note: (text: string) => void): Show {
  let shown = "";
  return {
    picture(picture) {
      const { run } = picture.answer;
      if (run === undefined || markOf(run) === shown) return;
      shown = markOf(run);
      const left = leftMs(picture);
      note(`  ${runLine(run)}${left === undefined ? "" : `, about ${spanText(left)} left`}`);
    },
    stop: () => undefined,
  };
}

/** A line for each twentieth of the way, and for each failure. */
function markOf(run: Run): string {
  return `${Math.floor(fractionOf(run) * 20)} ${run.failedCount} ${run.cancelledCount}`;
}
