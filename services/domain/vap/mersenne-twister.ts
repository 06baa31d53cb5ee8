/**
 * mt19937 as torch seeds and reads it (ATen/core/MT19937RNGEngine.h; Matsumoto and Nishimura 1998).
 *
 * The engine is the 624 words and a position; both can be taken out and put back, so that a stream goes on elsewhere.
 */

/** Words of state. */
export const stateWords = 624;
const shift = 397;
const matrix = 0x9908b0df;
const upperBit = 0x80000000;
const lowerBits = 0x7fffffff;

export class MersenneTwister {
  /** uint32 [624]; owned by this engine. */
  readonly words: Uint32Array;
  /** Next word to hand out, 0..624; 624 means that the words are used up. */
  position: number;

  /** Takes over `words` without copying. */
  constructor(words: Uint32Array, position: number) {
    this.words = words;
    this.position = position;
  }

  /** init_genrand of the paper, with the 32-bit seed that torch gives it. */
  static seeded(seed32: number): MersenneTwister {
    const words = new Uint32Array(stateWords);
    words[0] = seed32;
    for (let index = 1; index < stateWords; index += 1) {
      const before = words[index - 1] as number;
      words[index] = Math.imul(1812433253, before ^ (before >>> 30)) + index;
    }
    return new MersenneTwister(words, stateWords);
  }

  /** The next 32 bits as an integer; negative where the top bit is set. */
  nextBits(): number {
    if (this.position >= stateWords) this.refill();
    let word = this.words[this.position] as number;
    this.position += 1;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return word ^ (word >>> 18);
  }

  private refill(): void {
    const { words } = this;
    for (let index = 0; index < stateWords; index += 1) {
      const here = words[index] as number;
      const next = words[index + 1 < stateWords ? index + 1 : 0] as number;
      const far = words[index + shift < stateWords ? index + shift : index + shift - stateWords] as number;
      const mixed = (here & upperBit) | (next & lowerBits);
      words[index] = far ^ (mixed >>> 1) ^ ((next & 1) === 1 ? matrix : 0);
    }
    this.position = 0;
  }
}
