// Arithmetic on weights, done once in f64 when a checkpoint is loaded: what the compiler moved out of the network
// (batch-norm folding, the weights of fused upsampling), as rows of one table. The pointwise rows are the kernels' own.

import { fail, internal } from '../diagnostics.js';
import { POINTWISE, type PointwiseRow } from './kernels/pointwise.js';
import type { ConstantExpr, Parameter } from './plan.js';

/** A concrete tensor, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

type Attrs = Readonly<Record<string, number>>;

/** The tensors of a checkpoint by the plan's parameter names, each row-major in the parameter's shape. */
export type Weights = ReadonlyMap<string, Float32Array>;

/** Operations that move or sum whole weights; everything else is a row of kernels/pointwise.ts. */
const STRUCTURAL: Readonly<Record<string, (args: readonly Values[], attrs: Attrs) => Values>> = {
  scale_out: ([weight, factors]) => scaleOut(weight!, factors!),
  phase_weight: ([weight]) => phaseWeight(weight!),
  shuffle_rows: ([values], { factor }) => shuffleRows(values!, factor!),
  nearest_kernel: ([weight]) => nearestKernel(weight!),
  nearest_kernel_adjoint: ([weight]) => nearestKernelAdjoint(weight!),
  spectral_norm: ([weight, u, v]) => spectralNorm(weight!, u!, v!),
};

/** What can be computed when weights are loaded; everything else is a kernel, whatever its operands. */
export function isConstantOp(op: string): boolean {
  return op === 'constant' || op === 'expand' || op in STRUCTURAL || op in POINTWISE;
}

/** One operation on concrete tensors. */
export function applyConstantOp(op: string, args: readonly Values[], attrs: Attrs): Values {
  const structural = STRUCTURAL[op];
  if (structural) return structural(args, attrs);
  const row = POINTWISE[op] ?? internal(`no constant operation "${op}"`);
  const attr = row.attr === undefined ? 0 : (attrs[row.attr] ?? internal(`"${row.attr}" is missing`));
  return applyRow(row, args, attr);
}

/** The value of `expr`, rounded to f32 once at the end. */
export function evaluateConstant(expr: ConstantExpr, weights: Weights): Float32Array {
  return 'param' in expr ? tensorNamed(expr.param, weights) : new Float32Array(evaluate(expr, weights).data);
}

function tensorNamed(name: string, weights: Weights): Float32Array {
  return weights.get(name) ?? internal(`parameter "${name}" is not in the plan's table`);
}

function evaluate(expr: ConstantExpr, weights: Weights): Values {
  if ('values' in expr) return { shape: expr.shape, data: Float64Array.from(expr.values) };
  if ('param' in expr) {
    return { shape: expr.shape, data: new Float64Array(tensorNamed(expr.param, weights)) };
  }
  const args = expr.args.map((arg) => evaluate(arg, weights));
  const value = expr.op === 'expand' ? spread(args[0]!, expr) : applyConstantOp(expr.op, args, expr.attrs);
  if (value.shape.join() !== expr.shape.join()) {
    internal(`constant ${expr.op} has shape [${value.shape}], the plan says [${expr.shape}]`);
  }
  return value;
}

/** One value, or one per channel, over a whole shape: the gradient of a mean of nothing but the logits, as in `hinge`. */
function spread(value: Values, { shape, attrs }: { shape: readonly number[]; attrs: Attrs }): Values {
  if (attrs.mean) internal('a constant is divided before it is spread');
  const read = reader(value, shape);
  return { shape, data: Float64Array.from({ length: product(shape) }, (_, i) => read(i)) };
}

/** Every parameter is there with as many values as its shape says. */
export function checkWeights(parameters: readonly Parameter[], weights: Weights): void {
  const notes = parameters.flatMap(({ name, shape }) => {
    const values = weights.get(name)?.length;
    if (values === undefined) return [`missing: ${name} [${shape}]`];
    const expected = product(shape);
    return values === expected ? [] : [`${name} has ${values} values, [${shape}] needs ${expected}`];
  });
  if (notes.length === 0) return;
  const shown = notes.slice(0, 10);
  if (notes.length > shown.length) shown.push(`… and ${notes.length - shown.length} more`);
  fail(`${notes.length} of the network's ${parameters.length} weights cannot be used`, {
    notes: shown,
    help: 'use weights that were trained for this network',
  });
}

/** A pointwise row; operands of equal shape, one value, or `[C]` along the channel axis (1) of the other. */
export function applyRow(row: PointwiseRow, args: readonly Values[], attr: number): Values {
  const [a, b] = args;
  if (!a || args.length !== row.arity) internal(`${args.length} operands for a row of ${row.arity}`);
  const shape = b && product(b.shape) > product(a.shape) ? b.shape : a.shape;
  const left = reader(a, shape);
  const right = b ? reader(b, shape) : () => 0;
  const data = new Float64Array(product(shape));
  for (let i = 0; i < data.length; i++) data[i] = row.reference(left(i), right(i), attr);
  return { shape, data };
}

/** Reads `values` at positions of the broadcast `shape`. */
function reader({ shape: own, data }: Values, shape: readonly number[]): (i: number) => number {
  if (own.join() === shape.join()) return (i) => data[i]!;
  if (data.length === 1) return () => data[0]!;
  const [, channels, ...rest] = shape;
  if (own.length !== 1 || data.length !== channels) internal(`cannot broadcast [${own}] to [${shape}]`);
  const inner = product(rest);
  return (i) => data[Math.floor(i / inner) % channels]!;
}

/** A weight `[O, …]` times one factor for each output channel. */
function scaleOut({ shape, data }: Values, factors: Values): Values {
  const inner = data.length / factors.data.length;
  return { shape, data: data.map((value, i) => value * factors.data[Math.floor(i / inner)]!) };
}

/**
 * Nearest-x2 upsampling and then a 3x3 conv is, for each of the four pixels (i, j) it makes of one, a 2x2 conv of
 * the small image whose taps are sums of the 3x3 taps that fall on the same source pixel: `[O,I,3,3]` gives
 * `[4*O,I,2,2]`, phase `2*i + j` first.
 */
function phaseWeight({ shape, data }: Values): Values {
  const [outputs, inputs] = shape as [number, number];
  const result = new Float64Array((data.length / 9) * 16);
  const filters = outputs * inputs;
  for (let phase = 0; phase < 4; phase++) {
    for (let filter = 0; filter < filters; filter++) {
      const to = (phase * filters + filter) * 4;
      for (let y = 0; y < 3; y++) {
        for (let x = 0; x < 3; x++) {
          const tap = 2 * sourceTap(phase >> 1, y) + sourceTap(phase & 1, x);
          result[to + tap] = result[to + tap]! + data[filter * 9 + 3 * y + x]!;
        }
      }
    }
  }
  return { shape: [4 * outputs, inputs, 2, 2], data: result };
}

/** Which of the two source pixels tap `k` of phase `i` falls on: {0 | 1, 2} for phase 0, {0, 1 | 2} for phase 1. */
function sourceTap(i: number, k: number): number {
  return ((i + k + 1) >> 1) - i;
}

/** Rows `c*r*r + p`, as a pixel shuffle by `r` reads them, into phase-major order `p*C + c`. */
function shuffleRows({ shape, data }: Values, factor: number): Values {
  const phases = factor * factor;
  const rows = shape[0]!;
  const channels = rows / phases;
  if (!Number.isInteger(channels)) internal(`shuffle_rows: ${rows} rows, factor ${factor}`);
  const inner = data.length / rows;
  const result = new Float64Array(data.length);
  for (let row = 0; row < rows; row++) {
    const to = (row % phases) * channels + Math.floor(row / phases);
    result.set(data.subarray(row * inner, (row + 1) * inner), to * inner);
  }
  return { shape, data: result };
}

/**
 * Nearest-x2 upsampling and then a 3x3 conv with padding 1 is the adjoint of a 4x4 conv of stride 2 with padding 1, from
 * the large image to the small one: its tap a is the sum of the taps 2 - a and 3 - a along each axis. `[O, I, 3, 3]`
 * gives `[I, O, 4, 4]`.
 */
function nearestKernel({ shape, data }: Values): Values {
  const [outputs, inputs] = shape as [number, number];
  const result = new Float64Array(inputs * outputs * 16);
  forEachNearestTap(outputs, inputs, (three, four) => {
    result[four]! += data[three]!;
  });
  return { shape: [inputs, outputs, 4, 4], data: result };
}

function nearestKernelAdjoint({ shape, data }: Values): Values {
  const [inputs, outputs] = shape as [number, number];
  const result = new Float64Array(outputs * inputs * 9);
  forEachNearestTap(outputs, inputs, (three, four) => {
    result[three]! += data[four]!;
  });
  return { shape: [outputs, inputs, 3, 3], data: result };
}

/** Visits the places in both weights of all pairs of taps that meet. */
function forEachNearestTap(
  outputs: number,
  inputs: number,
  visit: (three: number, four: number) => void,
): void {
  const pairs = [0, 1, 2].flatMap((k) => [2 - k, 3 - k].map((a) => ({ k, a })));
  for (let filter = 0; filter < outputs * inputs; filter++) {
    const transposed = (filter % inputs) * outputs + Math.floor(filter / inputs);
    for (const y of pairs) {
      for (const x of pairs) visit(filter * 9 + y.k * 3 + x.k, transposed * 16 + y.a * 4 + x.a);
    }
  }
}

/** The largest singular value of a weight, read as the matrix `[O, …]`, from its singular vectors: u' W v. */
function spectralNorm({ data }: Values, u: Values, v: Values): Values {
  const columns = v.data.length;
  const sigma = data.reduce(
    (sum, w, i) => sum + u.data[Math.floor(i / columns)]! * w * v.data[i % columns]!,
    0,
  );
  return { shape: [], data: Float64Array.of(sigma) };
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
