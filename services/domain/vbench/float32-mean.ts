/**
 * numpy's mean of float32, to the last bit: pairwise sums in blocks of 128 with eight running sums each, every addition rounded to float32
 * (numpy loops_utils.h.src pairwise_sum), then one division.
 *
 * VBench's temporal flickering is made of such means. Exact sums differ from them by some 1e-9 on quiet clips and by more than 1e-8 on noise.
 */
const block = 128;
const lanes = 8;

/** Of at least one value. */
export function float32Mean(values: Float32Array): number {
  return Math.fround(pairwiseSum(values, 0, values.length) / values.length);
}

function pairwiseSum(values: Float32Array, first: number, count: number): number {
  if (count > block) {
    const half = Math.floor(count / 2);
    const left = half - (half % lanes);
    return Math.fround(pairwiseSum(values, first, left) + pairwiseSum(values, first + left, count - left));
  }
  const end = first + count;
  if (count < lanes) return sumInOrder(values, { first, end, sum: 0 });
  const sums = values.slice(first, first + lanes);
  let index = first + lanes;
  for (; index + lanes <= end; index += lanes) {
    for (let lane = 0; lane < lanes; lane += 1) sums[lane] = (sums[lane] as number) + (values[index + lane] as number);
  }
  return sumInOrder(values, { first: index, end, sum: sumOfLanes(sums) });
}

/** ((0+1)+(2+3))+((4+5)+(6+7)), each rounded. */
function sumOfLanes(sums: Float32Array): number {
  let left = sums;
  while (left.length > 1) {
    const pairs = left;
    left = Float32Array.from({ length: pairs.length / 2 }, (_, index) => (pairs[2 * index] as number) + (pairs[2 * index + 1] as number));
  }
  return left[0] as number;
}

type Rest = { readonly first: number; readonly end: number; readonly sum: number };

function sumInOrder(values: Float32Array, { first, end, sum }: Rest): number {
  let total = sum;
  for (let index = first; index < end; index += 1) total = Math.fround(total + (values[index] as number));
  return total;
}
