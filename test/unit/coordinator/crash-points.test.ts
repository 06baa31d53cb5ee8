/**
 * Every call of the store that commits has a crash point, or a reason why not; the contracts are read as they are written.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { storeCrashCalls, storeCrashPoints } from "../../../services/coordinator/store/crash-points.ts";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";

type Uncrashed = Exclude<keyof Store, (typeof storeCrashCalls)[keyof typeof storeCrashCalls]>;

const steering = "one statement of a person, who sees that it failed and says it again; nothing follows from it outside of its transaction";
const uploading =
  "its client asks how far it came and goes on there; what is left over is collected (test/fault/interrupted-streams.test.ts)";

const pushing =
  "its client pushes again: what is there is not sent, and finishing twice is finishing once (test/integration/models/versions.test.ts)";

/** Calls that commit. */
const excused = {
  placeHold: steering,
  releaseHold: steering,
  cordonWorker: steering,
  uncordonWorker: steering,
  drainWorker: steering,
  clearWorker: steering,
  setTenantLimit: steering,
  setPrice: steering,
  setBudget: steering,
  deleteBudget: steering,
  importSuite: "all rows or none in one transaction; sent again it is the suite that is there",
  importResults: steering,
  importVotes: steering,
  storeSetScores: "of a run that has ended: each reader of the run writes the same again",
  dropStaleSetScores: "one statement; the next round of the duty does what this one did not",
  announceUpload: uploading,
  commitUpload: uploading,
  beginUpload: uploading,
  appendUploadPart: uploading,
  finishUpload: uploading,
  dropUpload: uploading,
  beginPush: pushing,
  chunkStored: pushing,
  chunksLost: pushing,
  finishPush: pushing,
  moveAlias: steering,
  removeVersions: steering,
  tendOrder: "upkeep of sums: claims work without it, and the next round does what this one did not",
  learnShapes: "each coordinator says it at its start, and the larger of two stays",
  holdDuty: "every other point of a duty leaves it held by the dead",
  releaseDuty: "dying before it is dying while the duty is held; after it nothing is left to do",
  keepTail: "one statement on an attempt that is over, once; the next round of the duty does what this one did not",
  applyScale: "the next round decides from what was kept, and asks the cluster for what this one did not (test/integration/kube)",
  disrupt: "a round takes every pod as it is: the next one tells what this one did not, and beats tell workers their levels",
  signingKey: "made by the first that asks, read by all others: one insert that does nothing where there is one",
} as const satisfies Partial<Record<Uncrashed, string>>;

/** Calls that only read, and the end. */
const reading = [
  "findSubmitted",
  "getJob",
  "listJobs",
  "getRender",
  "listRenders",
  "listEvents",
  "findUploads",
  "artifactOfRender",
  "getUpload",
  "listUploadParts",
  "chunkBytes",
  "servedVersions",
  "farmJsons",
  "listVersions",
  "versionFiles",
  "listAliases",
  "aliasMoves",
  "idleWorkers",
  "tailNeeds",
  "attemptOwners",
  "renderOwner",
  "tracedRender",
  "unsentEvents",
  "expansionFacts",
  "waitingRenders",
  "windowCounts",
  "listWorkers",
  "queueCounts",
  "unsentCount",
  "readyMeasures",
  "jobMeasures",
  "fleetMeasures",
  "newestScores",
  "connectionMeasures",
  "farmEpoch",
  "farmOverview",
  "sumUsage",
  "ping",
  "listHolds",
  "getWorker",
  "explainFacts",
  "listTenants",
  "healthCounts",
  "listFailures",
  "listPrices",
  "listBudgets",
  "usedUpBudget",
  "budgetSnapshot",
  "usageTotals",
  "unbalancedAttempts",
  "dueWebhooks",
  "findSuites",
  "listSuites",
  "suiteRows",
  "findRuns",
  "listRuns",
  "listRunItems",
  "clipScores",
  "unscoredRuns",
  "listResults",
  "getResults",
  "listVotes",
  "scalingFacts",
  "scaleRecords",
  "close",
] as const satisfies readonly Uncrashed[];

const folder = join(import.meta.dirname, "../../../services/coordinator/store");
const contracts = readdirSync(folder)
  .filter((name) => name.endsWith("-contract.ts"))
  .map((name) => readFileSync(join(folder, name), "utf8"));
/** Name and first parameter of every method of every part of the store. */
const methods = contracts.flatMap((text) =>
  [...text.matchAll(/^ {2}(\w+)\(\s*(\w*)/gm)].map(([, name = "", first = ""]) => ({ name, first })),
);
const crashing: readonly string[] = Object.values(storeCrashCalls);

describe("the calls of the store", () => {
  it("that commit have a crash point, or a reason why not", () => {
    const known = [...crashing, ...Object.keys(excused), ...reading];
    expect(methods.map(({ name }) => name).toSorted()).toEqual(known.filter((name) => name !== "close").toSorted());
    expect(Object.values(excused).every((reason) => reason.length > 20)).toBe(true);
  });

  it("that write under a duty's epoch are none that only read", () => {
    const written = methods.filter(({ first }) => first === "dutyEpoch").map(({ name }) => name);
    expect(written.length).toBeGreaterThan(10);
    expect(written.filter((name) => reading.some((other) => other === name))).toEqual([]);
  });

  it("have their points under the names that they are looked for by", () => {
    const named = new Set(storeCrashPoints.map((point) => point.slice(0, point.indexOf("."))));
    expect([...named].toSorted()).toEqual(Object.keys(storeCrashCalls).toSorted());
    for (const name of named) expect(storeCrashPoints).toContain(`${name}.committed`);
  });
});
