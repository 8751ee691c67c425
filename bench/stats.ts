// Numbers of repeated measurements.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * How many times as long as `base` it took: the median over the rounds in which both were measured, because what else
 * the machine does changes from round to round.
 */
export function pairedRatio(values: readonly number[], base: readonly number[]): number {
  const rounds = values.slice(0, base.length);
  return median(rounds.map((value, i) => value / base[i]!));
}
