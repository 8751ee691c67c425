// Axes of plots: from a range of values to places between 0 and 1, and to the round numbers that are written beside them.

export interface Axis {
  /** 0 at the lower end, 1 at the upper. */
  place(value: number): number;
  /** About as many as were asked for. */
  readonly ticks: readonly number[];
}

export function linearAxis(low: number, high: number, count: number): Axis {
  return { place: (value) => (value - low) / (high - low), ticks: roundNumbers(low, high, count) };
}

/** Of positive values. */
export function logAxis(low: number, high: number, count: number): Axis {
  return {
    place: (value) => Math.log(value / low) / Math.log(high / low),
    ticks: logTicks(low, high, count),
  };
}

/** `0.025`, `2e-4`, `1500`, `20k`, `1.5M` */
export function printNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${short(value / 1e6)}M`;
  if (size >= 1e4) return `${short(value / 1e3)}k`;
  return size > 0 && size < 1e-3 ? Number(value.toPrecision(3)).toExponential() : short(value);
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** Multiples of 1, 2 or 5 times a power of ten. */
function roundNumbers(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((multiple) => multiple * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  const length = Math.floor(high / step) - first + 1;
  return Array.from({ length }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** 1, 2 and 5 of every decade where that is enough and not too much; powers of ten for long ranges. */
function logTicks(low: number, high: number, count: number): number[] {
  const fine = inDecades(low, high, [1, 2, 5]);
  if (fine.length < 3) return roundNumbers(low, high, count);
  if (fine.length <= 2 * count) return fine;
  const powers = inDecades(low, high, [1]);
  const every = Math.ceil(powers.length / count);
  return powers.filter((_, i) => i % every === 0);
}

function inDecades(low: number, high: number, multiples: readonly number[]): number[] {
  const first = Math.floor(Math.log10(low));
  const length = Math.floor(Math.log10(high)) - first + 1;
  return Array.from({ length }, (_, i) => multiples.map((one) => Number(`${one}e${first + i}`)))
    .flat()
    .filter((tick) => tick >= low && tick <= high);
}
