import { describe, expect, it } from "vitest";
import { createPicture, drawLabel, fitText, labelWidth } from "../../../services/cli/sheet/canvas.ts";
import { isInked } from "../../../services/cli/sheet/glyphs.ts";
import { exitCodeOf } from "../../../services/cli/exit-codes.ts";
import { bytesText } from "../../../services/domain/bytes-text.ts";
import { clock, seconds, textTable } from "../../../services/cli/text-table.ts";
import { errorTable, FarmError, isErrorCode } from "../../../services/domain/errors.ts";
import { parseNatsVersion } from "../../../services/platform/programs/nats.ts";

describe("text for people", () => {
  it("aligns columns and leaves no spaces at the end", () => {
    expect(textTable(["a", "bb"], [["ccc", ""], ["d", "eeee"]])).toBe("a    bb\nccc\nd    eeee"); // prettier-ignore
  });

  it("spells times and sizes", () => {
    expect([
      seconds(1234),
      seconds(65_432),
      clock(74_400),
      bytesText(12),
      bytesText(2048),
      bytesText(3 * 1024 ** 2),
      bytesText(80 * 1024 ** 3),
    ]).toEqual(["1.23 s", "65.4 s", "1:14", "12 B", "2.0 KiB", "3.0 MiB", "80.0 GiB"]);
  });

  it("cuts a label to the room that it has", () => {
    const text = "a rather long prompt";
    expect(fitText(text, 2, 120)).toBe("a rather..");
    expect(labelWidth(fitText(text, 2, 120), 2)).toBeLessThanOrEqual(120);
  });
});

describe("labels in pictures", () => {
  it("draw the glyphs of a small alphabet", () => {
    const rows = Array.from({ length: 7 }, (_, row) =>
      Array.from({ length: 5 }, (_, column) => (isInked("A", column, row) ? "#" : ".")).join(""),
    );
    expect(rows).toEqual(["..#..", ".#.#.", "#...#", "#...#", "#####", "#...#", "#...#"]);
  });

  it("stay inside the picture", () => {
    const picture = createPicture(20, 10, [0, 0, 0]);
    drawLabel(picture, { text: "far too long for it", x: 2, y: 4, scale: 2, color: [255, 255, 255] });
    expect(picture.pixels.length).toBe(600);
    expect(picture.pixels.some((value) => value === 255)).toBe(true);
  });
});

describe("exit codes", () => {
  it("tell input's fault, an unreachable farm and other failures apart", () => {
    expect([exitCodeOf(new FarmError("MEDIA_TRUNCATED")), exitCodeOf(new FarmError("COORDINATOR_UNAVAILABLE")), exitCodeOf(new FarmError("STAGE_FAILED"))]).toEqual([2, 3, 1]); // prettier-ignore
  });

  it("exist for every error of the table", () => {
    for (const code of Object.keys(errorTable).filter(isErrorCode)) expect([1, 2, 3]).toContain(exitCodeOf(new FarmError(code)));
  });
});

describe("the version of a NATS server", () => {
  it("is read from what it prints, and from nothing else", () => {
    expect(parseNatsVersion("nats-server: v2.15.1\n")).toBe("2.15.1");
    expect(parseNatsVersion("nats-server: v2.12.0-RC.3")).toBe("2.12.0-RC.3");
    expect(parseNatsVersion("nothing of the kind")).toBeUndefined();
  });
});
