/**
 * Node: new enough to run TypeScript as it is, and not told to do otherwise.
 */
import { type Check, fail, ok, type Verdict, warn } from "../verdict.ts";

/** The runtime that runs this. */
export type NodeFindings = {
  /** E.g. "24.21.0". */
  readonly version: string;
  /** Whether it runs TypeScript without a build. */
  readonly stripsTypes: boolean;
  readonly options: string;
  readonly platform: string;
};

/** Pure. */
export function judgeNode({ version, stripsTypes, options, platform }: NodeFindings): readonly Verdict[] {
  const upgrade = "run `make setup` in the clone: npm brings Node 24; or install Node 24 or newer";
  const isNew = Number(version.split(".")[0]) >= 24;
  const flags = /--(no-experimental-strip-types|no-strip-types|jitless)/.exec(options)?.[0];
  const base = isNew && stripsTypes ? ok("Node", `${version} on ${platform}`) : fail("Node", `${version}, 24 or newer is needed`, upgrade);
  if (flags !== undefined) return [base, fail("Node flags", `NODE_OPTIONS has ${flags}`, `take ${flags} out of NODE_OPTIONS`)];
  if (options !== "") return [base, warn("Node flags", `NODE_OPTIONS is "${options}"`, "unset NODE_OPTIONS unless you know why it is set")];
  return [base, ok("Node flags", "none")];
}

/** Looks at the running Node. */
export const nodeCheck: Check = {
  name: "Node",
  run: ({ context }) =>
    Promise.resolve(
      judgeNode({
        version: process.versions.node,
        stripsTypes: process.features.typescript !== false,
        options: context.environment["NODE_OPTIONS"] ?? "",
        platform: `${process.platform} ${process.arch}`,
      }),
    ),
};
