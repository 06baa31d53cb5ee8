/**
 * `torch.Generator("cpu")` and `torch.randn` in float32, so that a seed alone gives the reference's noise (design §4.9).
 *
 * Source: ATen/native/cpu/DistributionTemplates.h and ATen/core/DistributionsHelper.h of torch 2.13.
 * - `manual_seed` keeps only the low 32 bits of a seed: 0 and 2^32 are one stream.
 * - 16 values and more: all uniforms first (24 bits each), then Box-Muller on blocks of 16 (8 radii, 8 angles); where the count is no
 *   multiple of 16, the last 16 are drawn anew.
 * - Fewer than 16: the polar pairs of a double-precision normal, whose second half waits in the generator for the next such call.
 *
 * The transcendental functions here are double precision rounded to float32; torch's vectorised ones differ by at most 2.4e-7.
 * Invariant: the same state gives the same draws; taking a state out copies it.
 */
import { FarmError } from "../errors.ts";
import { MersenneTwister, stateWords } from "./mersenne-twister.ts";

/** Everything that decides the generator's future; never changed in place. */
export type TorchRandomState = {
  /** uint32 [624]. */
  readonly words: Uint32Array;
  /** 0..624. */
  readonly position: number;
  /** The normal value that a draw of fewer than 16 left behind. */
  readonly spareNormal: number | undefined;
  /** Normal values handed out since seeding. */
  readonly draws: number;
};

const maxSeed = 2n ** 63n - 1n;
const block = 16;
const halfBlock = 8;
const twoPi32 = Math.fround(2 * Math.PI);

export class TorchGenerator {
  private readonly engine: MersenneTwister;
  private spareNormal: number | undefined;
  private drawn: number;

  private constructor(engine: MersenneTwister, spareNormal: number | undefined, drawn: number) {
    this.engine = engine;
    this.spareNormal = spareNormal;
    this.drawn = drawn;
  }

  /** `torch.Generator("cpu").manual_seed(seed)` for 0 ≤ seed < 2^63. */
  static seeded(seed: bigint): TorchGenerator {
    if (seed < 0n || seed > maxSeed) {
      const fields = [{ field: "seed", reason: `${seed.toString()} is out of range`, remedy: "choose a seed from 0 to 2^63-1" }];
      throw new FarmError("FIELD_INVALID", { message: "the seed is out of range", details: { fields } });
    }
    return new TorchGenerator(MersenneTwister.seeded(Number(seed & 0xffffffffn)), undefined, 0);
  }

  /** Goes on where `state` was taken. */
  static resumed(state: TorchRandomState): TorchGenerator {
    const valid =
      state.words.length === stateWords && Number.isInteger(state.position) && state.position >= 0 && state.position <= stateWords;
    if (!valid) throw new FarmError("ARTIFACT_CORRUPT", { message: "the random state is damaged" });
    return new TorchGenerator(new MersenneTwister(state.words.slice(), state.position), state.spareNormal, state.draws);
  }

  /** A copy of the state, for a checkpoint. */
  state(): TorchRandomState {
    return { words: this.engine.words.slice(), position: this.engine.position, spareNormal: this.spareNormal, draws: this.drawn };
  }

  /** `torch.randn(count, generator=…)`: float32 [count]. */
  randn(count: number): Float32Array {
    const values = new Float32Array(count);
    if (count >= block) this.fillBlocks(values);
    else for (let index = 0; index < count; index += 1) values[index] = this.nextNormal();
    this.drawn += count;
    return values;
  }

  /** normal_fill: uniforms in order, then each block in place. */
  private fillBlocks(values: Float32Array): void {
    this.fillUniform(values, 0);
    for (let start = 0; start + block <= values.length; start += block) boxMuller(values, start);
    if (values.length % block === 0) return;
    const tail = values.length - block;
    this.fillUniform(values, tail);
    boxMuller(values, tail);
  }

  /** uniform_real_distribution<float>(0, 1): the low 24 of 32 bits. */
  private fillUniform(values: Float32Array, start: number): void {
    const { engine } = this;
    for (let index = start; index < values.length; index += 1) values[index] = (engine.nextBits() & 0xffffff) * 2 ** -24;
  }

  /** normal_distribution<double>: a pair at a time. */
  private nextNormal(): number {
    if (this.spareNormal !== undefined) {
      const spare = this.spareNormal;
      this.spareNormal = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.nextUniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.nextUniform53()));
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** uniform_real_distribution<double>(0, 1): the low 53 bits of two words, the first one being the upper. */
  private nextUniform53(): number {
    const upper = this.engine.nextBits() & 0x1fffff;
    const lower = this.engine.nextBits() >>> 0;
    return (upper * 2 ** 32 + lower) * 2 ** -53;
  }
}

/** normal_fill_16: values[start+0..7] are radii's uniforms, values[start+8..15] angles'; both become normals. */
function boxMuller(values: Float32Array, start: number): void {
  for (let index = start; index < start + halfBlock; index += 1) {
    const u1 = 1 - (values[index] as number);
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * Math.fround(Math.log(u1)))));
    const theta = Math.fround(twoPi32 * (values[index + halfBlock] as number));
    values[index] = radius * Math.fround(Math.cos(theta));
    values[index + halfBlock] = radius * Math.fround(Math.sin(theta));
  }
}
