import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { suiteRowFromProto } from "../../../services/coordinator/rpc/suite-mapping.ts";
import { suiteId } from "../../../services/domain/suite-id.ts";
import { GetSuiteRequest, ListSuitesRequest, type SuiteRow } from "../../../services/gen/proto/vapfarm/v1/bench.ts";
import type { FarmServiceClient } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { importSuite, suiteMessages, suiteRow, uploadClips } from "../../support/bench-calls.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, present, refusalOf, upload } from "../../support/farm-calls.ts";

const tokens = { one: "1".repeat(16), two: "2".repeat(16) };
const as = (name: keyof typeof tokens) => ({ authorization: `Bearer ${tokens[name]}` });

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let clips: readonly string[];

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start();
  ({ client } = running);
  clips = await uploadClips(client, [40, 41, 42]);
});
afterAll(() => farm.stop());

const rows = (count: number, change: (position: number) => Partial<SuiteRow> = () => ({})): SuiteRow[] =>
  Array.from({ length: count }, (_, position) => suiteRow(position, clips, change(position)));
const idOf = (all: readonly SuiteRow[]): string =>
  suiteId(all.map(suiteRowFromProto), (bytes) => createHash("sha256").update(bytes).digest("hex"));
const getSuite = (suite: string, change: Partial<GetSuiteRequest> = {}) =>
  call(client.getSuite.bind(client), GetSuiteRequest.create({ suite, ...change }));

describe("an import", () => {
  it("stores the rows as they came, under the id that a client computes", async () => {
    const odd = rows(5, (position) => ({ caption: `"it's"\n${position} 🐈`, kind: position < 2 ? "b" : "a", seed: 2n ** 63n - 1n }));
    const { suite, existed, faults } = await importSuite(client, suiteMessages(odd, { name: "odd", suiteId: idOf(odd) }));
    expect([existed, faults]).toEqual([false, []]);
    expect(suite).toMatchObject({
      suiteId: idOf(odd),
      name: "odd",
      rowCount: 5,
      kinds: [
        { kind: "a", rows: 3 },
        { kind: "b", rows: 2 },
      ],
    });
    expect((await getSuite(idOf(odd), { rowLimit: 10 })).rows).toEqual(odd);
    expect((await getSuite(idOf(odd), { firstRow: 3, rowLimit: 1 })).rows).toEqual(odd.slice(3, 4));
    expect((await getSuite(idOf(odd), { firstRow: 7, rowLimit: 1 })).rows).toEqual([]);
    expect((await getSuite(idOf(odd))).rows).toEqual([]);
  });

  it("that is repeated is the suite that is there, with its first name, even when both come at once", async () => {
    const same = rows(4, () => ({ caption: "same" }));
    const answers = await Promise.all(["first", "second"].map((name) => importSuite(client, suiteMessages(same, { name }))));
    expect(answers.map(({ existed }) => existed).sort()).toEqual([false, true]);
    expect(new Set(answers.map(({ suite }) => JSON.stringify(suite?.name))).size).toBe(1);
    const moved = same.map((row) => ({ ...row, line: 99, targetPath: "elsewhere.mp4", referencePaths: ["too.mp4"] }));
    const again = await importSuite(client, suiteMessages(moved, { name: "third" }));
    expect([again.existed, again.suite]).toEqual([true, answers[0]?.suite]);
    expect((await getSuite(idOf(same), { rowLimit: 1 })).rows[0]?.targetPath).toBe("videos/0.mp4");
  });

  it("tells every fault of every row by line and field, and stores nothing", async () => {
    const { sha256: image } = await upload(client, Buffer.from("IMAGE"));
    const wrong = rows(4, (position) => ({ caption: `wrong ${position}` }));
    wrong[1] = suiteRow(1, [image, "0".repeat(64)], { caption: "a\0b" });
    wrong[3] = suiteRow(7, clips, { referenceCaptions: [], seed: -1n });
    const answer = await importSuite(client, suiteMessages(wrong));
    expect(answer.suite).toBeUndefined();
    expect(answer.faults.map(({ position, line, field }) => [position, line, field])).toEqual([
      [1, 3, "target_sha256"],
      [1, 3, "reference_sha256s[0]"],
      [1, 3, "caption"],
      [7, 9, "position"],
      [7, 9, "reference_captions"],
      [7, 9, "seed"],
    ]);
    expect((await refusalOf(getSuite(idOf(wrong)))).code).toBe("SUITE_UNKNOWN");
    const many = rows(300, () => ({ targetSha256: "none" }));
    expect((await importSuite(client, suiteMessages(many))).faults).toHaveLength(200);
    expect(await filesUnder(running.uploadsFolder)).toEqual([]);
  });

  it("whose rows come to another suite than its client hashed is refused", async () => {
    const all = rows(2, () => ({ caption: "edited" }));
    const refused = await refusalOf(importSuite(client, suiteMessages(all, { suiteId: "f".repeat(64) })));
    expect(refused.details.fields).toMatchObject([
      { field: "suite_id", reason: `is ${"f".repeat(64)}, but the rows come to ${idOf(all)}` },
    ]);
  });

  it.each<[string, () => Parameters<typeof importSuite>[1], string]>([
    ["no header", () => suiteMessages(rows(2)).slice(1), "REQUEST_MALFORMED"],
    ["two headers", () => [...suiteMessages([]), ...suiteMessages(rows(2))], "REQUEST_MALFORMED"],
    ["no rows", () => suiteMessages([]), "FIELD_INVALID"],
    ["an empty message of rows", () => [...suiteMessages([]), { part: { $case: "rows", value: { rows: [] } } }], "FIELD_INVALID"],
    ["no name", () => suiteMessages(rows(1), { name: "" }), "FIELD_INVALID"],
    ["an id that is none", () => suiteMessages(rows(1), { suiteId: "abc" }), "FIELD_INVALID"],
    ["too many conditions", () => suiteMessages(rows(1_001, (position) => ({ kind: `kind ${position}` }))), "FIELD_INVALID"],
  ])("with %s is refused", async (_title, messages, code) => {
    expect((await refusalOf(importSuite(client, messages()))).code).toBe(code);
  });

  it("over HTTP is lines of JSON", async () => {
    const all = rows(2, () => ({ caption: "over HTTP" }));
    const lines = [{ header: { name: "http" } }, { rows: { rows: all.map((row) => ({ ...row, seed: row.seed.toString() })) } }];
    const answer = await fetch(`http://${running.coordinator.httpAddress()}/v1/suites`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.map((line) => JSON.stringify(line)).join("\n"),
    });
    expect([answer.status, await answer.json()]).toMatchObject([200, { suite: { suiteId: idOf(all), rowCount: 2 } }]);
    const got = await fetch(`http://${running.coordinator.httpAddress()}/v1/suites/${idOf(all).slice(0, 12)}?rowLimit=1`);
    expect(await got.json()).toMatchObject({ suite: { name: "http" }, rows: [{ caption: "over HTTP" }] });
  });
});

describe("suites", () => {
  it("are found by id, by eight digits of it, or by a name that one has", async () => {
    const all = rows(1, () => ({ caption: "found" }));
    const id = present((await importSuite(client, suiteMessages(all, { name: "a/b c" }))).suite).suiteId;
    for (const named of [id, id.slice(0, 8), "a/b c"]) expect((await getSuite(named)).suite?.suiteId).toBe(id);
    for (const named of [id.slice(0, 7), id.toUpperCase(), `${id}0`]) {
      expect((await refusalOf(getSuite(named))).code).toBe("SUITE_UNKNOWN");
    }
    await importSuite(
      client,
      suiteMessages(
        rows(1, () => ({ caption: "found too" })),
        { name: "a/b c" },
      ),
    );
    const refused = await refusalOf(getSuite("a/b c"));
    expect([refused.code, refused.message]).toEqual(["SUITE_AMBIGUOUS", expect.stringContaining(id)]);
    expect((await getSuite(id)).suite?.suiteId).toBe(id);
  });

  it("are listed page by page, the newest first", async () => {
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await call(client.listSuites.bind(client), ListSuitesRequest.create({ pageSize: 2, pageToken }));
      listed.push(...page.suites.map(({ suiteId: id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const { suites } = await call(client.listSuites.bind(client), ListSuitesRequest.create());
    expect(listed).toEqual(suites.map(({ suiteId: id }) => id));
    const times = suites.map(({ createTime }) => present(createTime).getTime());
    expect(times).toEqual(times.toSorted((one, other) => other - one));
    expect(suites.length).toBeGreaterThan(4);
  });

  it("are their tenant's own", async () => {
    const callers = Object.entries(tokens).map(([tenant, token]) => ({ token, tenant, role: "member" }));
    const shared = await farm.start({ environment: { VAPFARM_CALLERS: JSON.stringify(callers) } });
    const own = await uploadClips(shared.client, [50], as("one"));
    const messages = suiteMessages([suiteRow(0, [own[0] ?? "", own[0] ?? ""])]);
    const id = present((await importSuite(shared.client, messages, as("one"))).suite).suiteId;
    const asked = (who: keyof typeof tokens) =>
      call(shared.client.getSuite.bind(shared.client), GetSuiteRequest.create({ suite: id }), as(who));
    expect((await asked("one")).suite?.suiteId).toBe(id);
    expect((await refusalOf(asked("two"))).code).toBe("SUITE_UNKNOWN");
    expect((await call(shared.client.listSuites.bind(shared.client), ListSuitesRequest.create(), as("two"))).suites).toEqual([]);
    const stolen = await importSuite(shared.client, messages, as("two"));
    expect(stolen.faults.map(({ field }) => field)).toEqual(["target_sha256", "reference_sha256s[0]"]);
    await shared.stop();
  });
});
