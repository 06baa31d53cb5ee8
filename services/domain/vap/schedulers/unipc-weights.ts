/**
 * The scalars of one UniPC update with B(h) = e^h − 1, "bh2" (spec §3.4; arXiv 2302.04867; scheduling_unipc_multistep.py:645-910).
 *
 *   λ(σ) = log((1−σ)/σ)     h = λ(to) − λ(from)     r_k = (λ(from−k) − λ(from))/h     φ = e^−h − 1     R·ρ = b
 *
 * They are 0-dim float32 tensors there, so every operation is rounded to float32 here, and R·ρ = b is solved in float32 with partial pivoting as
 * LAPACK does. Logarithms and exponentials are double precision rounded once; torch's may differ in the last bit.
 */

const { fround } = Math;

/** From σ[from] to σ[to], remembering `order` − 1 places before `from`. */
export type Stretch = { readonly sigmas: Float32Array; readonly from: number; readonly to: number; readonly order: number };

export type UpdateWeights = {
  /** σ_to/σ_from, of the sample. */
  readonly sample: number;
  /** (1 − σ_to)·φ, of the newest output, and of the differences with B(h) = φ. */
  readonly output: number;
  /** r_1 … r_{order−1}: what the differences to older outputs are divided by. */
  readonly ratios: readonly number[];
  /** R, [order, order], and b, [order]. */
  readonly system: { readonly rows: readonly (readonly number[])[]; readonly values: readonly number[] };
};

/** At σ_to = 0, h is infinite and every weight that order 1 reads is still finite. */
export function updateWeights({ sigmas, from, to, order }: Stretch): UpdateWeights {
  const sigmaAt = (index: number): number => sigmas[index] as number;
  const lambda = halfLogSnr(sigmaAt(from));
  const h = fround(halfLogSnr(sigmaAt(to)) - lambda);
  const phi = fround(Math.expm1(-h));
  const back = Array.from({ length: order - 1 }, (_, place) => halfLogSnr(sigmaAt(from - place - 1)));
  const ratios = back.map((earlier) => fround(fround(earlier - lambda) / h));
  return {
    sample: fround(sigmaAt(to) / sigmaAt(from)),
    output: fround(fround(1 - sigmaAt(to)) * phi),
    ratios,
    system: { rows: powers([...ratios, 1]), values: moments(-h, phi, order) },
  };
}

/** λ = log α − log σ with α = 1 − σ: −∞ at pure noise, +∞ at a clean picture. */
function halfLogSnr(sigma: number): number {
  return fround(fround(Math.log(fround(1 - sigma))) - fround(Math.log(sigma)));
}

/** Row i is each r to the power i. */
function powers(ratios: readonly number[]): readonly (readonly number[])[] {
  return ratios.map((_, power) => ratios.map((ratio) => fround(ratio ** power)));
}

/** b_i = i!·φ_{i+1}(−h)/B(h). */
function moments(minusH: number, phi: number, order: number): readonly number[] {
  const values: number[] = [];
  let factorial = 1;
  let phiNext = fround(fround(phi / minusH) - 1);
  for (let index = 1; index <= order; index += 1) {
    values.push(fround(fround(phiNext * factorial) / phi));
    factorial *= index + 1;
    phiNext = fround(fround(phiNext / minusH) - fround(1 / factorial));
  }
  return values;
}

/** ρ of R·ρ = b for the first `order` unknowns: Gaussian elimination, the largest pivot of a column first. */
export function solveSystem(system: UpdateWeights["system"], order: number): readonly number[] {
  const rows = system.rows.slice(0, order).map((row, index) => [...row.slice(0, order), system.values[index] as number]);
  for (let column = 0; column < order; column += 1) eliminate(rows, column);
  const solution = new Array<number>(order).fill(0);
  for (let row = order - 1; row >= 0; row -= 1) {
    let rest = rows[row]?.[order] as number;
    for (let column = row + 1; column < order; column += 1) {
      rest = fround(rest - fround((rows[row]?.[column] as number) * (solution[column] as number)));
    }
    solution[row] = fround(rest / (rows[row]?.[row] as number));
  }
  return solution;
}

function eliminate(rows: number[][], column: number): void {
  const size = (row: number): number => Math.abs(rows[row]?.[column] as number);
  let pivot = column;
  for (let row = column + 1; row < rows.length; row += 1) if (size(row) > size(pivot)) pivot = row;
  const top = rows[pivot] as number[];
  rows[pivot] = rows[column] as number[];
  rows[column] = top;
  for (const row of rows.slice(column + 1)) {
    const factor = fround((row[column] as number) / (top[column] as number));
    for (let place = column; place < row.length; place += 1) {
      row[place] = fround((row[place] as number) - fround(factor * (top[place] as number)));
    }
  }
}
