// How originals become inputs, as calls: `degrade: bicubic(4)`, `degrade: realesrgan(4, blur2=0.5)`. The numbers are
// those of Real-ESRGAN's options (train_realesrgan_x4plus.yml); parameters of its second round end in 2.

import { fail, type Span } from '../diagnostics.js';
import {
  amount,
  callable,
  count,
  exactly,
  listOf,
  odd,
  or,
  type Param,
  type Params,
  positive,
  probability,
  quality,
  range,
  table,
} from './params.js';
import type { Degradation, DegradationOrder } from './recipe-calls.js';
import { describe } from './values.js';

const FIRST: DegradationOrder = {
  blur: 1,
  kernel: [7, 21],
  sinc: 0.1,
  shapes: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
  sigma: [0.2, 3],
  generalized: [0.5, 4],
  plateau: [1, 2],
  enlarge: 0.2,
  reduce: 0.7,
  resize: [0.15, 1.5],
  gaussian: 0.5,
  noise: [1, 30],
  poisson: [0.05, 3],
  gray: 0.4,
  jpeg: [30, 95],
};

const SECOND: DegradationOrder = {
  ...FIRST,
  blur: 0.8,
  sigma: [0.2, 1.5],
  enlarge: 0.3,
  reduce: 0.4,
  resize: [0.3, 1.2],
  noise: [1, 25],
  poisson: [0.05, 2.5],
};

const FINAL_SINC = 0.8;

/** With the numbers of Real-ESRGAN's options. */
export function realesrgan(factor: number): Degradation {
  return { kind: 'realesrgan', factor, first: FIRST, second: SECOND, finalSinc: FINAL_SINC };
}

/** `scale` is the generator's, where it is known: the reduction it undoes. */
export const degradations = (scale?: number) => {
  const factor = scale === undefined ? count() : exactly(scale, "the generator's scale");
  return table<Degradation>(
    callable('bicubic', 'antialiased bicubic reduction, as MATLAB has it', { factor }, (args) => ({
      kind: 'bicubic',
      factor: args.factor,
    })),
    callable(
      'realesrgan',
      'two rounds of random blur, resizing, noise and JPEG, then a sinc filter (arXiv:2107.10833)',
      { factor, ...round(FIRST), ...secondRound(), final_sinc: probability(FINAL_SINC) },
      (args, span) => ({
        kind: 'realesrgan',
        factor: args.factor,
        first: orderOf(args, '', span),
        second: orderOf(args, '2', span),
        finalSinc: args.final_sinc,
      }),
    ),
  );
};

type RoundParams = { readonly [K in keyof DegradationOrder]: Param<DegradationOrder[K]> };

function round(defaults: DegradationOrder): RoundParams {
  return {
    blur: probability(defaults.blur),
    kernel: range(odd(), defaults.kernel),
    sinc: probability(defaults.sinc),
    shapes: or(listOf(amount(), 'six numbers'), defaults.shapes),
    sigma: range(positive(), defaults.sigma),
    generalized: range(positive(), defaults.generalized),
    plateau: range(positive(), defaults.plateau),
    enlarge: probability(defaults.enlarge),
    reduce: probability(defaults.reduce),
    resize: range(positive(), defaults.resize),
    gaussian: probability(defaults.gaussian),
    noise: range(amount(), defaults.noise),
    poisson: range(amount(), defaults.poisson),
    gray: probability(defaults.gray),
    jpeg: range(quality(), defaults.jpeg),
  };
}

function secondRound(): Params {
  return Object.fromEntries(Object.entries(round(SECOND)).map(([name, param]) => [`${name}2`, param]));
}

function orderOf(args: Readonly<Record<string, unknown>>, suffix: string, span: Span): DegradationOrder {
  const entries = Object.keys(FIRST).map((name) => [name, args[name + suffix]]);
  // Each was read by the parameter of its own name in `round`.
  const order: DegradationOrder = Object.fromEntries(entries);
  if (order.enlarge + order.reduce > 1) {
    fail('an image cannot be enlarged and reduced at once', {
      span,
      label: `\`enlarge${suffix}\` and \`reduce${suffix}\` add up to ${describe(order.enlarge + order.reduce)}`,
      help: 'they are probabilities; what is left to 1 keeps the size',
    });
  }
  if (order.shapes.length !== 6 || Math.max(...order.shapes) === 0) {
    fail(`\`shapes${suffix}\` has one number for each of six kernels`, {
      span,
      label: `this is ${describe({ items: order.shapes })}`,
      help: 'isotropic, anisotropic, generalized (the same two), plateau-shaped (the same two)',
    });
  }
  return order;
}
