import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../../services/platform/logging.ts";
import { openRuntimeLog, readLostRuns, type RuntimeLog } from "../../../services/worker/supervise/runtime-log.ts";

const [one, two] = ["1", "2"].map((digit) => `${digit.repeat(8)}-1111-4111-8111-111111111111`) as [string, string];
let folder = "";
let path = "";
let forwarded: string[] = [];
let log: RuntimeLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-log-"));
  path = join(folder, "runtime.log");
  forwarded = [];
  const logger = createLogger({ name: "test", level: "silent" });
  log = openRuntimeLog({ path, secrets: ["sesame-street"], logger, forward: (chunk) => void forwarded.push(chunk.toString()) });
});
afterEach(async () => {
  log.close();
  await rm(folder, { recursive: true, force: true });
});

const write = (text: string): void => log.take(Buffer.from(text));
const lost = () => readLostRuns(path, []);

describe("the log of a runtime", () => {
  it("passes all on, and tells of an attempt what was written while it had the runtime", () => {
    write("starting\n");
    log.begin(one);
    write("of one\n");
    expect(log.end(one)).toBe("of one\n");
    write("between\n");
    log.begin(two);
    expect(log.end(two)).toBe("");
    expect(forwarded.join("")).toBe("starting\nof one\nbetween\n");
  });

  it("tells of two attempts at once what each of them saw", () => {
    log.begin(one);
    write("first\n");
    log.begin(two);
    write("second\n");
    expect([log.end(one), log.end(two)]).toEqual(["first\nsecond\n", "second\n"]);
  });

  it("tells of one that waits what was written from its marker on, also where that comes in pieces or beside others'", () => {
    log.begin(one);
    log.expect(two);
    write(`first\nno run ${two} begins\nrun ${"3".repeat(36)} begins\nrun ${two.slice(0, 9)}`);
    write(`${two.slice(9)} beg`);
    write("ins\nsecond\n");
    expect([log.end(one), log.end(two)]).toEqual([`first\nno run ${two} begins\nsecond\n`, "second\n"]);
    log.expect(two);
    write("nothing of it\n");
    expect(log.end(two)).toBe("");
  });

  it("keeps letters whole that come in two pieces, and tells no secret", () => {
    log.begin(one);
    const bytes = Buffer.from("größe sesame-street\n");
    log.take(bytes.subarray(0, 3));
    log.take(bytes.subarray(3));
    expect(log.end(one)).toBe("größe [redacted]\n");
  });

  it("tells on the way what was written of those that have it, each time that there is more", () => {
    write("before\n");
    log.begin(one);
    expect(log.grown()).toEqual([]);
    write(`run ${one} begins\n`);
    expect(log.grown()).toEqual([]);
    write("first sesame-street\n");
    log.begin(two);
    write("second\n");
    const tails = [
      { attemptId: one, logTail: "first [redacted]\nsecond\n" },
      { attemptId: two, logTail: "second\n" },
    ];
    expect(log.grown()).toEqual(tails);
    expect(log.grown()).toEqual([]);
    log.end(one);
    write("third\n");
    expect(log.grown()).toEqual([{ attemptId: two, logTail: "second\nthird\n" }]);
    expect(forwarded.join("")).not.toContain("begins");
  });

  it("keeps the end of what is much, in memory and on disk", async () => {
    log.begin(one);
    for (let line = 0; line < 5_000; line += 1) write(`line ${line} ${"x".repeat(60)}\n`);
    expect((await stat(path)).size).toBeLessThan(200_000);
    expect((await lost())[0]?.logTail).toContain("line 4999 ");
    const tail = log.end(one);
    expect(tail).toContain("line 4999 ");
    expect(tail.length).toBeLessThanOrEqual(8_192);
    expect(tail.startsWith("line ")).toBe(true);
  });
});

describe("what an agent that was killed left", () => {
  it("names the attempts that the runtime had, with its last words", async () => {
    write("starting\n");
    log.begin(one);
    write("last words\n");
    expect(await lost()).toEqual([{ attemptId: one, logTail: "last words\n" }]);
    log.begin(two);
    write("and more\n");
    expect((await lost()).map(({ attemptId }) => attemptId)).toEqual([one, two]);
    log.end(one);
    log.end(two);
    log.begin(one);
    log.expect(two);
    write("before\n");
    expect((await lost()).map(({ attemptId }) => attemptId)).toEqual([one]);
    write(`run ${two} begins\nafter\n`);
    expect((await lost()).map(({ attemptId }) => attemptId)).toEqual([one, two]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("is nothing when all had ended, when there is no file, or when the file is no such log", async () => {
    log.begin(one);
    write("words\n");
    log.end(one);
    expect(await lost()).toEqual([]);
    expect(await readFile(path, "utf8")).toBe("");
    expect(await readLostRuns(join(folder, "none"), [])).toEqual([]);
    expect(await readLostRuns(import.meta.filename, [])).toEqual([]);
  });
});
