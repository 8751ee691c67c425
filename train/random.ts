// Random numbers that are a function of a seed, a key and a position, and of no state that would have to be saved:
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a counter of four words
// and a key of two into four random words.

/** What a stream is for: `randomFor(seed, 'sample', stage, 17)`. */
export type KeyPart = string | number;

/** One stream. Its numbers depend on nothing but how many were taken before. */
export interface Random {
  /** In [low, high), or [0, 1). */
  uniform(low?: number, high?: number): number;
  /** With mean 0 and variance 1. */
  normal(): number;
  /** A whole number in [0, count). */
  below(count: number): number;
  /** True with the probability `p`. */
  chance(p: number): boolean;
  /** An index into the weights, as likely as its weight is large. */
  weighted(weights: readonly number[]): number;
  /** Puts the items into random order, in place. */
  shuffle(items: Uint32Array): void;
}

type Words = Uint32Array<ArrayBuffer>;

const ROUNDS = 10;
const WORDS = 2 ** 32;

/** The stream of a seed for one purpose: different keys give independent streams. */
export function randomFor(seed: number, ...key: readonly KeyPart[]): Random {
  const seedWords = split(seed);
  const [high, low] = digest(seedWords, key);
  const counter = Uint32Array.of(0, 0, high, low);
  const block = new Uint32Array(4);
  let used = 4;
  let spare: number | undefined;

  const word = () => {
    if (used === 4) {
      philox(block, counter, seedWords);
      counter[0]!++;
      if (counter[0] === 0) counter[1]!++;
      used = 0;
    }
    return block[used++]!;
  };
  const uniform = (from = 0, to = 1) => from + (to - from) * (word() / WORDS);
  const below = (count: number) => {
    // The last, incomplete run of `count` words would make small numbers likelier.
    const limit = WORDS - (WORDS % count);
    let value = word();
    while (value >= limit) value = word();
    return value % count;
  };
  return {
    uniform,
    below,
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      // Box and Muller (1958); half a word keeps the logarithm finite.
      const radius = Math.sqrt(-2 * Math.log((word() + 0.5) / WORDS));
      const angle = (2 * Math.PI * word()) / WORDS;
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    chance: (p) => uniform() < p,
    weighted(weights) {
      let left = uniform(
        0,
        weights.reduce((sum, weight) => sum + weight, 0),
      );
      const index = weights.findIndex((weight) => {
        left -= weight;
        return left < 0;
      });
      // Rounding may leave a crumb behind the last weight.
      return index < 0 ? weights.length - 1 : index;
    },
    shuffle(items) {
      // Fisher and Yates.
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        const item = items[i]!;
        items[i] = items[j]!;
        items[j] = item;
      }
    },
  };
}

/** The key as two words: Philox chained over its text. */
function digest(seed: Words, key: readonly KeyPart[]): [number, number] {
  const state = new Uint32Array(4);
  const text = JSON.stringify(key);
  for (let i = 0; i < text.length; i++) {
    philox(state, Uint32Array.of(text.charCodeAt(i), i, state[0]!, state[1]!), seed);
  }
  return [state[0]!, state[1]!];
}

/** The bits of any number. */
function split(value: number): Words {
  return new Uint32Array(Float64Array.of(value).buffer);
}

/** Writes the four random words of a counter and a key. */
export function philox(out: Words, counter: Words, key: Words): void {
  let [c0, c1, c2, c3] = [counter[0]!, counter[1]!, counter[2]!, counter[3]!];
  let [k0, k1] = [key[0]!, key[1]!];
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(0xd2511f53, c0);
    const high1 = highProduct(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The upper 32 bits of the 64-bit product of two unsigned words, in halves: every sum stays below 2^32. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = (aLow * bLow) / 2 ** 16;
  const middle = aHigh * bLow + Math.floor(low);
  const upper = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (upper >>> 16);
}
