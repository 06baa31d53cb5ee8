import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { bar, grid } from "../../../../services/cli/top/grid.ts";
import { keysOf, scrolled } from "../../../../services/cli/top/keys.ts";
import { type FarmPicture, layoutTop, snapshotLines, type TopState } from "../../../../services/cli/top/layout.ts";
import { Job, Worker, WorkerState } from "../../../../services/gen/proto/vapfarm/v1/farm.ts";
import { Farm, HoldScope } from "../../../../services/gen/proto/vapfarm/v1/operator.ts";

const now = new Date("2027-03-01T12:00:00Z");
const before = (ms: number): Date => new Date(now.getTime() - ms);

function picture(workers: number, name = "gpu"): FarmPicture {
  return {
    farm: Farm.fromPartial({
      name: "studio",
      version: "0.1.0",
      time: now,
      openJobs: 2,
      holds: [{ scope: HoldScope.HOLD_SCOPE_POOL, name: "gpu", reason: "new driver", placedBy: "ops" }],
      pools: [
        {
          name,
          queues: [
            { stage: "denoise", ready: 3, running: 2, blocked: 5, oldestReadyMs: 65_000 },
            { stage: "prepare", ready: 1, delayed: 1 },
          ],
          workers: { idle: 1, busy: 2, cordoned: 1 },
        },
      ],
    }),
    workers: Array.from({ length: workers }, (_, index) =>
      Worker.fromPartial({
        name: `${name}-${index}`,
        pool: name,
        state: WorkerState.WORKER_STATE_BUSY,
        lastBeatTime: before(2_000),
        device: "CPU",
        softwareVersion: "0.1.0",
        running: [
          {
            stage: "denoise",
            jobId: "0199a3f2-0000-7000-8000-000000000001",
            renderPosition: index,
            phase: "compute",
            elapsedMs: 30_000,
            remainingMs: 90_000 - index,
            progress: { step: 5, steps: 20 },
          },
        ],
        ...(index === 0 ? { cordon: { reason: "smells" } } : {}),
      }),
    ),
    queue: [
      Job.fromPartial({
        jobId: "0199a3f2-0000-7000-8000-000000000002",
        tenant: "film",
        priority: 10,
        createTime: before(3_600_000),
        deadline: before(60_000),
        renderCounts: { total: 4, queued: 4 },
      }),
    ],
  };
}

const state = (over: Partial<TopState> = {}): TopState => ({
  address: "127.0.0.1:7443",
  picture: picture(2),
  failure: undefined,
  ageMs: 0,
  isPaused: false,
  scroll: 0,
  ...over,
});
const textOf = (over: Partial<TopState> = {}, size = { width: 120, height: 40 }): string =>
  layoutTop(state(over), size)
    .lines.map(({ text }) => text)
    .join("\n");

describe("the live view", () => {
  it("shows header, holds, pools, what runs, the queue and the workers", () => {
    const text = textOf();
    expect(text).toMatch(/^vapfarm {2}studio {2}0\.1\.0 {2}12:00:00 UTC {2}2 open jobs$/m);
    expect(text).toContain("held: pool gpu, new driver (by ops)");
    expect(text).toMatch(/^gpu +2 +4 +5 +1 +1m5s {2}1 idle, 2 busy, 1 cordoned$/m);
    expect(text).toMatch(/^0199a3f2-0000-7000-8000-000000000001 +1 {2}denoise {2}█+░+ 5\/20 {2}1m30s {2}30s {2}gpu-1$/m);
    expect(text).toMatch(/^0199a3f2-0000-7000-8000-000000000002 {2}film +10 +1h +1m late {2}4 of 4$/m);
    expect(text).toMatch(/^gpu-0 +gpu +busy, cordoned \(smells\) {2}denoise 5\/20 +2s {2}CPU/m);
  });

  it("puts what ends first at the top of what runs", () => {
    const text = textOf();
    expect(text.indexOf(" 1  denoise")).toBeLessThan(text.indexOf(" 0  denoise"));
  });

  it.each([
    ["before the first answer", { picture: undefined }, /^vapfarm {2}127\.0\.0\.1:7443 {2}asking\.\.\.$/m],
    ["a farm that went away", { failure: "COORDINATOR_UNAVAILABLE", ageMs: 5_000 }, /does not answer \(COORDINATOR_UNAVAILABLE\).* 5s old/],
    ["a farm that never answered", { picture: undefined, failure: "COORDINATOR_UNAVAILABLE" }, /does not answer/],
    ["a pause", { isPaused: true, ageMs: 9_000 }, /PAUSED 9s ago/],
    ["a farm without anything", { picture: { farm: Farm.create(), workers: [], queue: [] } }, /^WORKERS\nnone$/m],
  ])("tells of %s", (_what, over, pattern) => {
    expect(textOf(over)).toMatch(pattern);
  });

  it("keeps header and footer and scrolls what lies between", () => {
    const size = { width: 80, height: 24 };
    const many = state({ picture: picture(40) });
    const top = layoutTop(many, size);
    const end = layoutTop({ ...many, scroll: 10_000 }, size);
    expect(top.lines).toHaveLength(24);
    expect(top.lines[0]).toEqual(end.lines[0]);
    expect(top.lines.at(-1)?.text).toMatch(/^q quit {2}p pause .*lines 1-21 of \d+$/);
    expect(end.lines.at(-2)?.text).toContain("gpu-39");
    expect(end.scrollMost).toBeGreaterThan(top.page);
  });

  it.each([
    [80, 24],
    [200, 60],
    [40, 10],
    [20, 5],
    [10, 3],
    [1, 1],
  ])("never has more lines or wider ones than a terminal of %i x %i", (width, height) => {
    for (const name of ["gpu", "影像-農場-影像-農場", "a\u001B[2Jb\nc"]) {
      const { lines } = layoutTop(state({ picture: picture(30, name), failure: "INTERNAL" }), { width, height });
      expect(lines.length).toBeLessThanOrEqual(height);
      for (const { text } of lines) {
        expect(stringWidth(text)).toBeLessThanOrEqual(width);
        expect(text).not.toMatch(/\p{Cc}/u);
      }
    }
  });

  it("prints everything in a snapshot", () => {
    const lines = snapshotLines(state({ picture: picture(40) }), 200);
    expect(lines.filter((line) => /^gpu-\d+ /.test(line))).toHaveLength(40);
    expect(lines.join("\n")).not.toContain("q quit");
  });
});

describe("text that fits", () => {
  it.each([
    [[5, 20, 20], "████░░░░░░░░░░░ 5/20"],
    [[0, 4, 10], "░░░░░░ 0/4"],
    [[9, 4, 10], "██████ 9/4"],
    [[5, 20, 8], "5/20"],
    [[0, 0, 20], ""],
  ])("draws [done, of, columns] = %j", ([done = 0, all = 0, width = 0], expected) => {
    expect(bar(done, all, width)).toBe(expected);
  });

  it("lets the columns that yield most give way first", () => {
    const columns = [
      { title: "name", yields: 1, least: 4 },
      { title: "note", yields: 9, least: 3 },
    ];
    const rows = [["worker-1", "a long remark"]];
    expect(grid(columns, rows, 30)).toEqual(["name      note", "worker-1  a long remark"]);
    expect(grid(columns, rows, 16)).toEqual(["name      note", "worker-1  a lon…"]);
    expect(grid(columns, rows, 11)).toEqual(["name    no…", "worke…  a …"]);
    expect(grid(columns, rows, 5)).toEqual(["name", "wor…"]);
  });

  it("holds for any text and width", () => {
    const columns = [
      { title: "a", yields: 1, least: 2 },
      { title: "b", yields: 2, least: 5, isNumber: true },
      { title: "c", yields: 3, least: 1 },
    ];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string(), fc.string())),
        fc.integer({ min: 0, max: 60 }),
        (rows, width) => {
          for (const row of grid(columns, rows, width)) expect(stringWidth(row)).toBeLessThanOrEqual(width);
        },
      ),
    );
  });
});

describe("keys", () => {
  it.each([
    ["q", ["quit"]],
    ["\u0003", ["quit"]],
    ["pp", ["pause", "pause"]],
    ["\u001B[A\u001B[B\u001BOA", ["up", "down", "up"]],
    ["\u001B[5~\u001B[6~\u001B[H\u001B[F", ["page-up", "page-down", "first", "last"]],
    ["\u001B[1;5Cx\u001B", []],
  ])("reads %j", (text, keys) => {
    expect(keysOf(text)).toEqual(keys);
  });

  it.each([
    ["up", 0, 0],
    ["down", 0, 1],
    ["page-down", 3, 13],
    ["page-down", 28, 30],
    ["page-up", 3, 0],
    ["last", 0, 30],
    ["first", 9, 0],
    ["quit", 9, 9],
  ] as const)("moves by %s from %i to %i", (key, scroll, expected) => {
    expect(scrolled(key, { scroll, page: 10, scrollMost: 30 })).toBe(expected);
  });
});
