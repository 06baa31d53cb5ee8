/**
 * How many denoising steps last a while on the machine that the tests happen to run on.
 */
/** Steps of the run that is timed. */
export const triedSteps = 20;

const fewestSteps = 80;
/** What a model of 1000 training timesteps has. */
const mostSteps = 1000;

/** As many steps of that length as last so long, but never so few that there is no middle. */
export function stepsWithin(ms: number, stepMs: number): number {
  return Math.min(mostSteps, Math.max(fewestSteps, Math.round(ms / stepMs)));
}
