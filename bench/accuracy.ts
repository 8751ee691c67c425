// How far an image is from the reference: what disqualifies a fast kernel that is wrong.

export interface Difference {
  readonly largest: number;
  /** In dB, against the largest value of the reference. */
  readonly psnr: number;
}

export function compare(actual: Float32Array, expected: Float32Array): Difference {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} values instead of ${expected.length}`);
  let [largest, squares, peak] = [0, 0, 0];
  for (const [i, value] of expected.entries()) {
    const difference = Math.abs(actual[i]! - value);
    if (!(difference <= largest)) largest = difference; // a NaN stays
    squares += difference * difference;
    peak = Math.max(peak, Math.abs(value));
  }
  return { largest, psnr: 10 * Math.log10((peak * peak * expected.length) / squares) };
}

/** What a system claims of its arithmetic; 8 bits: it writes files, pads tiles and stores halves. */
export type Exactness = 'f32' | 'f16' | '8 bits';

const LEAST_PSNR: Readonly<Record<Exactness, number>> = { f32: 80, f16: 40, '8 bits': 20 };

export function isWrong({ largest, psnr }: Difference, claims: Exactness): boolean {
  return Number.isNaN(largest) || !(psnr >= LEAST_PSNR[claims]);
}

export function printDifference({ largest, psnr }: Difference): string {
  return `${largest.toExponential(1)}, ${psnr === Infinity ? 'equal' : `${psnr.toFixed(1)} dB`}`;
}
