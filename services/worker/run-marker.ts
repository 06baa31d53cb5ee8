/**
 * The line that a runtime writes to stderr as a run begins to compute, so that whoever reads its log knows whose words follow.
 *
 * The word of the begin itself goes through another pipe: which of the two is read first is anybody's guess.
 */

/** The line of a run. */
export const runMarker = (runId: string): string => `run ${runId} begins\n`;

/** Matches such lines; the first group is the run. */
export const runMarkers = /^run (\S{1,64}) begins\n/gm;
