/**
 * Plots as inline SVG: distributions, seconds per stage, scores against seconds, differences with their intervals.
 *
 * Pure. Colours are the page's (classes and currentColor), so light and dark need no second drawing. Each plot says in words what it shows.
 */
import { type Html, html } from "../../../platform/html.ts";
import { binsOf, type Extent, extentOf, place, scaleOf, stepOf, ticksOf, tickText } from "./scale.ts";

const width = 320;
const height = 170;
const frame = { left: 34, right: 10, top: 10, bottom: 26 };
const inner = { left: frame.left, right: width - frame.right, top: frame.top, bottom: height - frame.bottom };

/** A picture with its meaning in words. */
function picture(label: string, size: { readonly width: number; readonly height: number }, content: readonly Html[]): Html {
  return html`<svg
    class="plot"
    role="img"
    aria-label="${label}"
    viewBox="0 0 ${size.width} ${size.height}"
    preserveAspectRatio="xMidYMid meet"
  >
    ${content}
  </svg>`;
}

type Axis = { readonly extent: Extent; readonly parts: number };

function xAxis({ extent, parts }: Axis): Html {
  const x = scaleOf(extent, inner.left, inner.right);
  const step = stepOf(extent, parts);
  const ticks = ticksOf(extent, parts).map(
    (tick) =>
      html`<line class="grid" x1="${place(x(tick))}" x2="${place(x(tick))}" y1="${inner.top}" y2="${inner.bottom}" /><text
          class="tick"
          x="${place(x(tick))}"
          y="${inner.bottom + 15}"
          text-anchor="middle"
          >${tickText(tick, step)}</text
        >`,
  );
  return html`${ticks}<line class="axis" x1="${inner.left}" x2="${inner.right}" y1="${inner.bottom}" y2="${inner.bottom}" />`;
}

function yAxis({ extent, parts }: Axis): Html {
  const y = scaleOf(extent, inner.bottom, inner.top);
  const step = stepOf(extent, parts);
  const ticks = ticksOf(extent, parts).map(
    (tick) =>
      html`<line class="grid" x1="${inner.left}" x2="${inner.right}" y1="${place(y(tick))}" y2="${place(y(tick))}" /><text
          class="tick"
          x="${inner.left - 5}"
          y="${place(y(tick) + 3.5)}"
          text-anchor="end"
          >${tickText(tick, step)}</text
        >`,
  );
  return html`${ticks}`;
}

const mostBins = 16;

/** How many clips have which value; of a yes-or-no metric two bars. */
export function histogram(values: readonly number[], title: string): Html {
  const isYesNo = values.length > 0 && values.every((value) => value === 0 || value === 1);
  const extent = isYesNo ? { low: -0.5, high: 1.5 } : extentOf(values);
  const bins = binsOf(values, extent, isYesNo ? 2 : Math.min(mostBins, Math.max(4, Math.ceil(Math.sqrt(values.length) * 1.6))));
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const counts = { low: 0, high: most };
  const [x, y] = [scaleOf(extent, inner.left, inner.right), scaleOf(counts, inner.bottom, inner.top)];
  const bars = bins.map(({ low, high, count }) => {
    const inset = isYesNo ? 20 : 1;
    const said = isYesNo ? (low < 0 ? "no" : "yes") : `${label(low)} to ${label(high)}`;
    const wide = Math.max(1, x(high) - x(low) - 2 * inset);
    return html`<rect
      class="bar"
      x="${place(x(low) + inset)}"
      y="${place(y(count))}"
      width="${place(wide)}"
      height="${place(inner.bottom - y(count))}"
      ><title>${said}: ${clipsText(count)}</title></rect
    >`;
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const words = `${title}: ${clipsText(values.length)}${values.length === 0 ? "" : `, mean ${label(mean)}, from ${label(Math.min(...values))} to ${label(Math.max(...values))}`}`;
  const meanLine = html`<line class="mean" x1="${place(x(mean))}" x2="${place(x(mean))}" y1="${inner.top}" y2="${inner.bottom}"
    ><title>mean ${label(mean)}</title></line
  >`;
  const yesNo = html`<text class="tick" x="${place(x(0))}" y="${inner.bottom + 15}" text-anchor="middle">no</text
    ><text class="tick" x="${place(x(1))}" y="${inner.bottom + 15}" text-anchor="middle">yes</text>`;
  const across = isYesNo ? yesNo : xAxis({ extent, parts: 4 });
  return picture(words, { width, height }, [
    yAxis({ extent: counts, parts: Math.min(4, most) }),
    across,
    ...bars,
    ...(values.length === 0 || isYesNo ? [] : [meanLine]),
  ]);
}

/** A clip as a point. */
export type Point = { readonly x: number; readonly y: number; readonly name: string };

/** A metric against seconds. */
export function scatter(points: readonly Point[], title: string): Html {
  const [xs, ys] = [padded(points.map(({ x }) => x)), padded(points.map(({ y }) => y))];
  const [x, y] = [scaleOf(xs, inner.left, inner.right), scaleOf(ys, inner.bottom, inner.top)];
  const dots = points.map(
    (point) =>
      html`<circle class="dot" cx="${place(x(point.x))}" cy="${place(y(point.y))}" r="3.2"
        ><title>${point.name}: ${label(point.y)} after ${label(point.x)} s</title></circle
      >`,
  );
  return picture(`${title} against seconds of rendering, ${clipsText(points.length)}`, { width, height }, [
    yAxis({ extent: ys, parts: 4 }),
    xAxis({ extent: xs, parts: 4 }),
    ...dots,
  ]);
}

/** Room around, so that no point lies on the frame. */
function padded(values: readonly number[]): Extent {
  const { low, high } = extentOf(values);
  const room = (high - low) * 0.06;
  return { low: low - room, high: high + room };
}

/** One bar of a bar chart; `part` is drawn at its end. */
export type BarRow = { readonly name: string; readonly value: number; readonly part: number; readonly said: string };

const barWidth = 760;
const nameWidth = 190;
const saidWidth = 200;
const barHeight = 22;

/** Lengths side by side: value and, after it, part. */
export function bars(rows: readonly BarRow[], title: string): Html {
  const most = Math.max(1e-9, ...rows.map(({ value, part }) => value + part));
  const x = scaleOf({ low: 0, high: most }, nameWidth, barWidth - saidWidth);
  const lines = rows.map(({ name, value, part, said }, index) => {
    const y = index * barHeight;
    const first = Math.max(1, x(value) - nameWidth);
    return html`<g
      ><title>${name}: ${said}</title><text class="name" x="${nameWidth - 8}" y="${y + 15}" text-anchor="end">${name}</text
      ><rect class="bar" x="${nameWidth}" y="${y + 4}" width="${place(first)}" height="${barHeight - 8}" /><rect
        class="bar-part"
        x="${place(nameWidth + first)}"
        y="${y + 4}"
        width="${place(Math.max(0, x(value + part) - x(value)))}"
        height="${barHeight - 8}"
      /><text class="tick" x="${place(nameWidth + first + Math.max(0, x(value + part) - x(value)) + 6)}" y="${y + 15}">${said}</text></g
    >`;
  });
  return picture(title, { width: barWidth, height: Math.max(1, rows.length) * barHeight }, lines);
}

/** One difference, drawn in units of its own interval: metrics have no common scale. */
export type Whisker = { readonly name: string; readonly value: number; readonly low: number; readonly high: number; readonly said: string };

/** Differences around zero; each row has its own scale, so that only sides and the crossing of zero are to be read. */
export function forest(rows: readonly Whisker[], title: string): Html {
  const middle = nameWidth + (barWidth - nameWidth - 20) / 2;
  const half = (barWidth - nameWidth - 60) / 2;
  const lines = rows.map(({ name, value, low, high, said }, index) => {
    const y = index * barHeight + barHeight / 2;
    const x = scaleOf({ low: 0, high: Math.max(1e-12, Math.abs(low), Math.abs(high), Math.abs(value)) }, middle, middle + half);
    const side = low > 0 ? "better" : high < 0 ? "worse" : "open";
    return html`<g class="${side}"
      ><title>${name}: ${said}</title><text class="name" x="${nameWidth - 8}" y="${y + 4}" text-anchor="end">${name}</text
      ><line class="whisker" x1="${place(x(low))}" x2="${place(x(high))}" y1="${y}" y2="${y}" /><circle
        class="knob"
        cx="${place(x(value))}"
        cy="${y}"
        r="4.5"
    /></g>`;
  });
  const tall = Math.max(1, rows.length) * barHeight;
  return picture(title, { width: barWidth, height: tall }, [
    html`<line class="axis" x1="${place(middle)}" x2="${place(middle)}" y1="0" y2="${tall}" />`,
    ...lines,
  ]);
}

/** Four significant digits. */
export function label(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  return text === "-0" ? "0" : text;
}

function clipsText(count: number): string {
  return `${count} ${count === 1 ? "clip" : "clips"}`;
}
