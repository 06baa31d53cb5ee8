/**
 * Read masks over Job: which of its top-level fields an answer has.
 *
 * Paths are the proto's names; the names that JSON uses are taken too, because a mask in a query string is not translated on its way.
 */
import { Job } from "../../gen/proto/vapfarm/v1/farm.ts";

/** A mask that was read: its paths by the proto's names, those that exist, and what it leaves of a job. */
export type JobMask = {
  readonly paths: readonly string[];
  readonly known: readonly string[];
  apply(job: Job): Job;
};

const keys = ["failure", ...Object.keys(Job.create())].filter((key, index, all) => all.indexOf(key) === index) as readonly (keyof Job)[];
const known = keys.map(snakeCase);

/** The mask of these paths; none, or `*` among them, is every field. */
export function jobMask(asked: readonly string[] | undefined): JobMask {
  const paths = (asked ?? []).filter((path) => path !== "*").map(snakeCase);
  const isWhole = paths.length === 0 || asked?.includes("*") === true;
  const kept = keys.filter((key) => paths.includes(snakeCase(key)));
  return {
    paths,
    known,
    apply: (job) => (isWhole ? job : Job.create(Object.fromEntries(kept.map((key) => [key, job[key]])))),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
