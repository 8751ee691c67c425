// The builtin layers, one row each: parameters with defaults, a line of documentation, and the graph ops they are.
// Everything larger is a block written in the language (library/).

import type { Attrs, Init, Ref } from '../compiler/graph.js';
import { image, printImage, sameShape } from '../compiler/ops/types.js';
import { fail, type Source, type Span } from '../diagnostics.js';
import { isSymbolic, sameDim } from '../runtime/dims.js';
import { batchnorm, spectralWeight } from './normalization.js';
import {
  type ArgsOf,
  callable,
  count,
  flag,
  listOf,
  number,
  optional,
  type Params,
  positive,
  probability,
  rest,
  table,
  tap,
  whole,
  word,
} from './params.js';
import { constant, type Layer, type Site } from './site.js';
import { provenance, type TensorValue } from './values.js';

interface Convolution {
  readonly features: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: number;
  readonly bias: boolean;
  readonly init: number | undefined;
  readonly spectral: boolean;
}

function convolve(
  site: Site,
  x: TensorValue,
  { features, kernel, stride, pad, bias, init, spectral }: Convolution,
): Ref {
  const { c } = image(x.type, 'conv');
  const fanIn = c * kernel[0] * kernel[1];
  const torch: Init = { kind: 'torch', fanIn };
  const start: Init = init === undefined ? torch : { kind: 'kaiming', fanIn, scale: init };
  const weight = spectral
    ? spectralWeight(site, [features, c, kernel[0]], start)
    : site.param('weight', [features, c, ...kernel], start);
  const y = site.emit('conv2d', [x.ref, weight], { stride, pad });
  if (!bias) return y;
  return site.emit('add', [y, site.param('bias', [features], init === undefined ? torch : constant(0))]);
}

/** The op with `{features}`-wide weights that covers the whole (fixed) image: a matrix product. */
function linear(site: Site, x: TensorValue, args: Pick<Convolution, 'features' | 'bias' | 'spectral'>): Ref {
  const { h, w } = image(x.type, 'linear');
  if (isSymbolic(h) || isSymbolic(w)) {
    fail('linear needs an image of fixed size', {
      span: site.span,
      label: `this is ${printImage(x.type)}`,
      help: 'give the network a fixed input, such as (3, 128, 128)',
    });
  }
  if (args.spectral && h !== w) {
    fail('spectral normalisation needs a square image', {
      span: site.span,
      label: `this is ${printImage(x.type)}`,
    });
  }
  return convolve(site, x, { ...args, kernel: [h, w], stride: 1, pad: 0, init: undefined });
}

function normalize(site: Site, x: TensorValue, mean: readonly number[], std: readonly number[]): Ref {
  const { c } = image(x.type, 'normalize');
  if (mean.length !== c || std.length !== c) {
    fail('normalize needs one mean and one std per channel', {
      span: site.span,
      label: `${mean.length} and ${std.length} for ${c} channels`,
    });
  }
  const centred = site.emit('sub', [x.ref, site.emit('constant', [], { values: mean })]);
  return site.emit('div', [centred, site.emit('constant', [], { values: std })]);
}

/** `add(tap)`, `mul(tap)`: both operands of one shape. */
function combine(op: 'add' | 'mul', site: Site, x: TensorValue, other: TensorValue): Ref {
  if (!sameShape(x.type.shape, other.type.shape)) {
    differentShapes(`${op} joins`, x, other, {
      span: site.span,
      source: site.source,
      label: `what enters here is ${printImage(x.type)}`,
      other: 'the named value',
    });
  }
  return site.emit(op, [x.ref, other.ref]);
}

interface Mismatch {
  readonly span: Span;
  readonly source: Source;
  readonly label: string;
  /** What `y` is to the reader: "the skip". */
  readonly other: string;
  readonly help?: string | undefined;
}

/** Reports that `x` and `y`, which should have one shape, do not. */
export function differentShapes(
  doing: string,
  x: TensorValue,
  y: TensorValue,
  { span, source, label, other, help }: Mismatch,
): never {
  const widths = !sameDim(x.type.shape[1]!, y.type.shape[1]!);
  return fail(`${doing} tensors of different ${widths ? 'widths' : 'sizes'}`, {
    span,
    label,
    notes: [`${other} carries ${printImage(y.type)}, from ${provenance(y, source)}`],
    ...(help !== undefined && { help }),
  });
}

/** A layer that is one graph op with its arguments as attributes. */
function op<P extends Params>(
  name: string,
  doc: string,
  params: P,
  graphOp: string,
  attrs: (args: ArgsOf<P>) => Attrs = () => ({}),
) {
  return callable(name, doc, params, (args): Layer => {
    return (site, x) => site.emit(graphOp, [x.ref], attrs(args));
  });
}

const pool = { size: count(), stride: optional(count()) };
const poolAttrs = ({ size, stride = size }: ArgsOf<typeof pool>): Attrs => ({ size, stride });

/** Layers whose result has the shape of their input: they never are where a shape came from. */
export const POINTWISE = table<Layer>(
  callable(
    'batchnorm',
    'batch normalisation with learned scale and shift; inference uses the running statistics',
    { eps: positive(1e-5), momentum: probability(0.1) },
    (args) => (site, x) => batchnorm(site, x, args),
  ),
  callable(
    'prelu',
    'max(x, 0) + a * min(x, 0) with one learned `a` per channel, starting at `init`',
    { init: number(0.25) },
    ({ init }) =>
      (site, x) =>
        site.emit('prelu', [x.ref, site.param('weight', [image(x.type, 'prelu').c], constant(init))]),
  ),
  op('lrelu', 'max(x, 0) + slope * min(x, 0)', { slope: number(0.2) }, 'lrelu', ({ slope }) => ({ slope })),
  op('relu', 'max(x, 0)', {}, 'relu'),
  op('sigmoid', '1 / (1 + exp(-x))', {}, 'sigmoid'),
  op('tanh', 'hyperbolic tangent', {}, 'tanh'),
  op('softplus', 'log(1 + exp(x))', {}, 'softplus'),
  op('scale', 'x * by', { by: number() }, 'scale', ({ by }) => ({ by })),
  callable(
    'normalize',
    '(x - mean) / std, one number per channel each',
    {
      mean: listOf(number(), 'numbers, one per channel'),
      std: listOf(positive(), 'numbers above 0, one per channel'),
    },
    ({ mean, std }) =>
      (site, x) =>
        normalize(site, x, mean, std),
  ),
  callable('add', 'x + tap', { tap: tap() }, (args) => (site, x) => combine('add', site, x, args.tap)),
  callable('mul', 'x * tap', { tap: tap() }, (args) => (site, x) => combine('mul', site, x, args.tap)),
);

const RESHAPING = table<Layer>(
  callable(
    'conv',
    'zero-padded convolution; by default stride 1 keeps the size; `init` scales a kaiming-normal start; `spectral` divides the weight by its spectral norm',
    {
      features: count(),
      kernel: count(3),
      stride: count(1),
      pad: optional(whole()),
      bias: flag(true),
      init: optional(positive()),
      spectral: flag(false),
    },
    ({ kernel, pad = Math.floor((kernel - 1) / 2), ...args }) =>
      (site, x) =>
        convolve(site, x, { ...args, kernel: [kernel, kernel], pad }),
  ),
  callable(
    'linear',
    'every output feature sees the whole image; its size must be fixed; gives (features, 1, 1)',
    { features: count(), bias: flag(true), spectral: flag(false) },
    (args) => (site, x) => linear(site, x, args),
  ),
  callable(
    'upsample',
    'enlarges by a whole factor',
    { factor: count(), mode: word(['nearest', 'bilinear'], 'nearest') },
    ({ factor, mode }) =>
      (site, x) =>
        site.emit(`upsample_${mode}`, [x.ref], { factor }),
  ),
  op(
    'pixelshuffle',
    'factor^2 channels become one channel of a larger image',
    { factor: count() },
    'pixel_shuffle',
    same,
  ),
  op('pixelunshuffle', 'the inverse of pixelshuffle', { factor: count() }, 'pixel_unshuffle', same),
  op('maxpool', 'the largest of every size x size window', pool, 'max_pool', poolAttrs),
  op('avgpool', 'the mean of every size x size window', pool, 'avg_pool', poolAttrs),
  callable('from', 'goes on from a named value (or `input`)', { tap: tap() }, (args) => () => args.tap.ref),
  callable(
    'concat',
    'x and the named values, side by side in channels',
    { taps: rest(tap()) },
    ({ taps }) =>
      (site, x) =>
        site.emit('concat', [x.ref, ...taps.map(({ ref }) => ref)]),
  ),
);

function same(args: { readonly factor: number }): Attrs {
  return args;
}

export const LAYERS: typeof POINTWISE = new Map([...RESHAPING, ...POINTWISE]);

/** What takes a body: `residual(0.2) { … }`, `dense x4 { … }`. */
export const COMBINATORS = table<number>(
  callable('residual', 'input + scale * body(input)', { scale: number(1) }, ({ scale }) => scale),
  callable(
    'dense',
    'each copy sees its input and all earlier outputs; gives them all, concatenated',
    {},
    () => 1,
  ),
);
