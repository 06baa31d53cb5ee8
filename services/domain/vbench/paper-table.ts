/**
 * What Video-As-Prompt publishes of its table (README at commit 0f30aed and arXiv 2510.20888 Tab. 5), and what must hold of any such table.
 *
 * Scores are as printed: percent, or 0..100. GPT-5's column stands in the paper alone. The set has 48 pairs: each dynamic degree is a whole number
 * of them, and the main judge's averages are sums of 48 integers. GPT-5's are not, so they were averaged in another way.
 */

export const paperColumns = [
  "clipScore",
  "motionSmoothness",
  "dynamicDegree",
  "aestheticQuality",
  "alignmentGemini",
  "alignmentGpt5",
  "preferenceRate",
] as const;
export type PaperColumn = (typeof paperColumns)[number];

export type PaperRow = { readonly method: string; readonly values: Readonly<Partial<Record<PaperColumn, number>>> };

/** Pairs of reference and target that the paper scores. */
export const paperPairs = 48;

/** Method, then a value for each column, in the published order. */
const published: readonly (readonly [method: string, ...values: readonly number[]])[] = [
  ["VACE (Original)", 5.88, 97.6, 68.75, 53.9, 35.38, 32.52, 0.6],
  ["VACE (Depth)", 22.64, 97.65, 75, 56.03, 43.35, 39.41, 0.7],
  ["VACE (Optical Flow)", 22.65, 97.56, 79.17, 57.34, 46.71, 45.09, 1.8],
  ["CogVideoX-I2V", 22.82, 98.48, 72.92, 56.75, 26.04, 28.36, 6.9],
  ["CogVideoX-I2V (LoRA)", 23.59, 98.34, 70.83, 54.23, 68.6, 66.93, 13.1],
  ["Kling / Vidu", 24.05, 98.12, 79.17, 59.16, 74.02, 73.91, 38.2],
  ["Video-As-Prompt", 24.13, 98.59, 77.08, 57.71, 70.44, 70.26, 38.7],
];

/** The published rows. */
export const paperTable: readonly PaperRow[] = published.map(([method, ...values]) => ({
  method,
  values: Object.fromEntries(paperColumns.map((column, index) => [column, values[index]])),
}));

export type TableFault = { readonly method: string; readonly column: PaperColumn; readonly reason: string };

/** Half of the last printed digit of a percentage, and room for binary fractions. */
const printed = 0.005 + 1e-9;
const preferenceTotal = 100;

/** What a table of this kind cannot have; empty for one that may be right. */
export function checkPaperTable(rows: readonly PaperRow[], pairs = paperPairs): readonly TableFault[] {
  const cells = rows.flatMap(({ method, values }) =>
    paperColumns.flatMap((column) => {
      const value = values[column];
      const reason = value === undefined ? undefined : cellFault(column, value, pairs);
      return reason === undefined ? [] : [{ method, column, reason }];
    }),
  );
  return [...cells, ...preferenceFaults(rows)];
}

function cellFault(column: PaperColumn, value: number, pairs: number): string | undefined {
  const isAnyNumber = column === "clipScore" || column === "aestheticQuality";
  if (!Number.isFinite(value)) return "no number";
  if (!isAnyNumber && (value < 0 || value > 100)) return `${value} is not in 0..100`;
  if (column === "dynamicDegree" && !isShare(value / 100, pairs)) return `${value} % of ${pairs} clips is no whole number of them`;
  if (column === "alignmentGemini" && !isAverage(value, pairs)) return `${value} is no average of ${pairs} integers`;
  return undefined;
}

function isShare(share: number, pairs: number): boolean {
  return Math.abs((Math.round(share * pairs) / pairs - share) * 100) <= printed;
}

function isAverage(value: number, pairs: number): boolean {
  return Math.abs(Math.round(value * pairs) / pairs - value) <= printed;
}

/** Rates are shares of all votes, printed to a tenth: their sum may be off by half a tenth per row. */
function preferenceFaults(rows: readonly PaperRow[]): readonly TableFault[] {
  const rates = rows.flatMap(({ values: { preferenceRate } }) => preferenceRate ?? []);
  const sum = rates.reduce((total, rate) => total + rate, 0);
  if (rates.length < rows.length || rows.length === 0 || Math.abs(sum - preferenceTotal) <= 0.05 * rows.length + 1e-9) return [];
  const method = rows.map((row) => row.method).join(", ");
  return [{ method, column: "preferenceRate", reason: `the rates add up to ${sum.toFixed(1)}, not to 100` }];
}
