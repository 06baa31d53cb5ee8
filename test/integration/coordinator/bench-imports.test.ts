import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  GetPreferenceRequest,
  GetResultsRequest,
  ImportResultsRequest,
  ImportVotesRequest,
  ListResultsRequest,
  type Vote,
} from "../../../services/gen/proto/vapfarm/v1/bench.ts";
import type { FarmServiceClient } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, present, refusalOf, sha256Of } from "../../support/farm-calls.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
});
afterAll(() => farm.stop());

const importResults = (name: string, text: string) => call(client.importResults.bind(client), ImportResultsRequest.create({ name, text }));
const getResults = (name: string) => call(client.getResults.bind(client), GetResultsRequest.create({ name }));

const file = `{
    "motion_smoothness": [0.97, [{"video_path": "a/x.mp4", "video_results": 0.96}, {"video_path": "a/y.mp4", "video_results": 0.98}]],
    "dynamic_degree": [0.5, [{"video_path": "x.mp4", "video_results": true}, {"video_path": "y.mp4", "video_results": NaN}]],
    "camera_motion": [0.25, {"pan_left": 0.5, "zoom_in": 0.0}, [{"video_path": "x.mp4", "video_results": 1.0}]],
    "imaging_quality": [NaN, []],
    "color": "none"
}\n`;

describe("results of others", () => {
  it("are kept as they came, and read as far as they can be", async () => {
    const { results } = await importResults("kling", file);
    expect(results).toMatchObject({ name: "kling", sha256: sha256Of(Buffer.from(file)) });
    expect(results?.dimensions).toEqual([
      { dimension: "motion_smoothness", value: 0.97, count: 2 },
      { dimension: "dynamic_degree", value: 0.5, count: 1 },
      { dimension: "camera_motion", value: 0.25, count: 1 },
      { dimension: "imaging_quality", value: undefined, count: 0 },
    ]);
    expect(results?.remarks).toContainEqual(expect.stringContaining("$.color"));
    expect(await getResults("kling")).toEqual({ results, text: file });
  });

  it("are replaced under their name, and listed by name", async () => {
    await importResults("b 2", file);
    await importResults("B 1", file);
    const { results: first } = await importResults("again", file);
    const { results: second } = await importResults("again", file.replace("0.97", "0.5"));
    expect(present(second).importTime?.getTime()).toBeGreaterThanOrEqual(present(present(first).importTime).getTime());
    const { results } = await call(client.listResults.bind(client), ListResultsRequest.create());
    expect(results.map(({ name }) => name)).toEqual(["B 1", "again", "b 2", "kling"]);
    expect(results.find(({ name }) => name === "again")?.dimensions[0]?.value).toBe(0.5);
  });

  it.each([
    ["no JSON", "<html>", "text"],
    ["no object", "[1, 2]", "text"],
    ["no dimension", "{}", "text"],
    ["a NUL", `${file}\0`, "text"],
    ["too many bytes", `{"a": [1, []], "b": "${"é".repeat(1_600_000)}"}`, "text"],
  ])("that are %s are refused", async (_title, text, field) => {
    const refused = await refusalOf(importResults("wrong", text));
    expect([refused.code, refused.details.fields?.map((one) => one.field)]).toEqual(["FIELD_INVALID", [field]]);
    expect((await refusalOf(getResults("wrong"))).code).toBe("RESULTS_UNKNOWN");
  });

  it("of thousands of remarks are told with the first of them", async () => {
    const odd = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`odd ${index}`, "x"]));
    const { results } = await importResults("odd", JSON.stringify({ ...odd, color: [1, []] }));
    expect(results?.remarks).toHaveLength(100);
    expect(results?.remarks.at(-1)).toMatch(/and 29\d\d more/);
  });
});

const vote = (voter: string, trial: string, choice: string): Vote => ({
  ...{ voter, trial, question: "alignment", choice },
  methods: ["ours", "kling", "vidu"],
});
const ofQuality = (one: Vote): Vote => ({ ...one, question: "quality" });
const importVotes = (name: string, votes: Vote[]) => call(client.importVotes.bind(client), ImportVotesRequest.create({ name, votes }));

describe("votes", () => {
  it("come to shares of all selections, the largest first", async () => {
    const votes = [
      vote("a", "1", "ours"),
      ofQuality(vote("a", "1", "kling")),
      vote("a", "2", "ours"),
      ofQuality(vote("b", "1", "ours")),
      vote("b", "2", "kling"),
    ];
    const { preference } = await importVotes("study", votes);
    expect(preference).toMatchObject({ name: "study", voters: 2, votes: 5 });
    expect(preference?.shares).toEqual([
      { method: "ours", percent: 60, alignmentPercent: (100 * 2) / 3, qualityPercent: 50, selections: 3 },
      { method: "kling", percent: 40, alignmentPercent: 100 / 3, qualityPercent: 50, selections: 2 },
      { method: "vidu", percent: 0, alignmentPercent: 0, qualityPercent: 0, selections: 0 },
    ]);
    expect(await call(client.getPreference.bind(client), GetPreferenceRequest.create({ name: "study" }))).toEqual({ preference });
  });

  it("under a name replace those that were there", async () => {
    await importVotes("twice", [vote("a", "1", "ours"), vote("a", "2", "ours")]);
    const { preference } = await importVotes("twice", [vote("a", "1", "vidu")]);
    expect([preference?.votes, preference?.shares[0]?.method]).toEqual([1, "vidu"]);
  });

  it.each<[string, Vote[], string]>([
    ["of a second answer", [vote("a", "1", "ours"), vote("a", "1", "kling")], "votes[1]"],
    ["of a tie", [vote("a", "1", "tie")], "votes[0].choice"],
    ["without a voter", [vote("", "1", "ours")], "votes[0]"],
    ["of one method", [{ ...vote("a", "1", "ours"), methods: ["ours"] }], "votes[0].methods"],
    ["of a method twice", [{ ...vote("a", "1", "ours"), methods: ["ours", "ours"] }], "votes[0].methods"],
    ["with a NUL", [vote("a\0", "1", "ours")], "votes[0].voter"],
    ["of another question", [{ ...vote("a", "1", "ours"), question: "beauty" }], "votes[0].question"],
    [
      "of more methods than fit under a name",
      Array.from({ length: 51 }, (_, index) => ({ ...vote("a", `${index}`, `m${index}`), methods: [`m${index}`, `n${index}`] })),
      "votes[50].methods",
    ],
  ])("%s refuse all of them", async (_title, votes, field) => {
    const refused = await refusalOf(importVotes("refused", votes));
    expect([refused.code, refused.details.fields?.map((one) => one.field)]).toEqual(["FIELD_INVALID", [field]]);
    const asked = call(client.getPreference.bind(client), GetPreferenceRequest.create({ name: "refused" }));
    expect((await refusalOf(asked)).code).toBe("VOTES_UNKNOWN");
  });
});
