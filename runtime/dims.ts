// Sizes known only when an image arrives. A dimension is a number or `mul * sym / div + add` of one symbol
// (`n` batch, `h` and `w` the size of the network's input), so every extent of a network stays exact and printable.

export type Dim = number | SymbolicDim;

export interface SymbolicDim {
  readonly sym: string;
  readonly mul: number;
  readonly div: number;
  readonly add: number;
}

/** Values of the symbols: `{ n: 1, h: 53, w: 79 }`. */
export type Sizes = Readonly<Record<string, number>>;

export function sym(name: string): SymbolicDim {
  return { sym: name, mul: 1, div: 1, add: 0 };
}

export function isSymbolic(dim: Dim): dim is SymbolicDim {
  return typeof dim !== 'number';
}

/** The number of elements along `dim`. Throws when a symbol is unbound or `div` does not divide. */
export function evalDim(dim: Dim, sizes: Sizes): number {
  if (!isSymbolic(dim)) return dim;
  const value = sizes[dim.sym];
  if (value === undefined) throw new Error(`internal: size "${dim.sym}" is not bound`);
  const scaled = (value * dim.mul) / dim.div;
  if (!Number.isInteger(scaled)) {
    throw new Error(`internal: ${dim.sym}=${value} is not divisible for ${printDim(dim)}`);
  }
  return scaled + dim.add;
}

export function sameDim(a: Dim, b: Dim): boolean {
  if (a === b || !isSymbolic(a) || !isSymbolic(b)) return a === b;
  return a.sym === b.sym && a.mul === b.mul && a.div === b.div && a.add === b.add;
}

export function addDim(dim: Dim, add: number): Dim {
  if (!isSymbolic(dim)) return dim + add;
  return add === 0 ? dim : { ...dim, add: dim.add + add };
}

export function mulDim(dim: Dim, factor: number): Dim {
  if (!isSymbolic(dim)) return dim * factor;
  if (factor === 1) return dim;
  const divisor = gcd(factor, dim.div);
  return {
    sym: dim.sym,
    mul: (dim.mul * factor) / divisor,
    div: dim.div / divisor,
    add: dim.add * factor,
  };
}

/** `dim / divisor` when that is exact for every admissible size, else undefined. */
export function divDim(dim: Dim, divisor: number): Dim | undefined {
  if (!isSymbolic(dim)) return dim % divisor === 0 ? dim / divisor : undefined;
  if (divisor === 1) return dim;
  if (dim.add % divisor !== 0) return undefined;
  const common = gcd(dim.mul, divisor);
  return {
    sym: dim.sym,
    mul: dim.mul / common,
    div: (dim.div * divisor) / common,
    add: dim.add / divisor,
  };
}

/** `64`, `h`, `4*h`, `h/2`, `3*h/2+1`. */
export function printDim(dim: Dim): string {
  if (!isSymbolic(dim)) return String(dim);
  const head = dim.mul === 1 ? dim.sym : `${dim.mul}*${dim.sym}`;
  const tail = dim.add === 0 ? '' : dim.add > 0 ? `+${dim.add}` : String(dim.add);
  return `${head}${dim.div === 1 ? '' : `/${dim.div}`}${tail}`;
}

/** The inverse of `printDim`; undefined when the text is not a dimension. */
export function parseDim(text: string): Dim | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const match = /^(?:(\d+)\*)?([a-z]\w*)(?:\/(\d+))?([+-]\d+)?$/.exec(text);
  if (!match) return undefined;
  const [, mul, name, div, add] = match;
  return { sym: name as string, mul: Number(mul ?? 1), div: Number(div ?? 1), add: Number(add ?? 0) };
}

export function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}
