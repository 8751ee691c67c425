// The calls of a recipe, one row each: what they are named, what they take, and the data they mean. Sources of the
// schedules: BasicSR's lr_scheduler (facts: a step counts from 0; cosine restarts begin at each period's weight).

import { fail, type Span } from '../diagnostics.js';
import {
  callable,
  count,
  fraction,
  listOf,
  number,
  optional,
  or,
  positive,
  type Range,
  table,
  word,
} from './params.js';

/** How originals become network inputs. */
export type Degradation =
  | { readonly kind: 'bicubic'; readonly factor: number }
  /** Real-ESRGAN's second-order degradation (arXiv:2107.10833; realesrgan_model.py, realesrgan_dataset.py). */
  | {
      readonly kind: 'realesrgan';
      readonly factor: number;
      readonly first: DegradationOrder;
      readonly second: DegradationOrder;
      /** Probability of the last sinc filter, which stands beside the second JPEG: before or after it, by a coin. */
      readonly finalSinc: number;
    };

/** One round of blur, resizing, noise and JPEG, in this order; names and numbers as in its options. */
export interface DegradationOrder {
  /** Probability that there is a blur. */
  readonly blur: number;
  /** Widths of blur kernels: the odd numbers in the range. */
  readonly kernel: Range;
  /** Probability that the blur is a sinc filter instead of a Gaussian. */
  readonly sinc: number;
  /**
   * Relative frequencies of the Gaussians: isotropic, anisotropic, generalized isotropic, generalized anisotropic,
   * plateau-shaped isotropic, plateau-shaped anisotropic.
   */
  readonly shapes: readonly number[];
  /** Standard deviation of the blur along each axis, in pixels. */
  readonly sigma: Range;
  /** Exponent of generalized Gaussians. */
  readonly generalized: Range;
  /** Exponent of plateau-shaped Gaussians. */
  readonly plateau: Range;
  /** Probabilities of enlarging and of reducing; else the size is kept. */
  readonly enlarge: number;
  readonly reduce: number;
  /** Reductions go down to the first, enlargements up to the second. */
  readonly resize: Range;
  /** Probability that the noise is Gaussian; else it is Poisson noise. */
  readonly gaussian: number;
  /** Standard deviation of Gaussian noise, in 8-bit steps. */
  readonly noise: Range;
  /** Factor of Poisson noise. */
  readonly poisson: Range;
  /** Probability that the noise is the same in all channels. */
  readonly gray: number;
  /** Quality, 1 to 100. */
  readonly jpeg: Range;
}

export interface Adam {
  readonly kind: 'adam';
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
}

/** The learning rate over a stage, as a factor of the optimizer's. */
export type Schedule =
  | { readonly kind: 'constant' }
  /** Times `by` after every `every` steps. */
  | { readonly kind: 'every'; readonly every: number; readonly by: number }
  /** Times `by` at each of the steps. */
  | { readonly kind: 'at'; readonly at: readonly number[]; readonly by: number }
  /** Half a cosine per period, from weight * lr down to `min` (a learning rate). */
  | {
      readonly kind: 'cosine';
      readonly periods: readonly number[];
      readonly weights: readonly number[];
      readonly min: number;
    };

const steps = () => listOf(count(), 'step numbers, such as (50k, 100k)');

export const OPTIMIZERS = table<Adam>(
  callable(
    'adam',
    'Adam (arXiv:1412.6980)',
    {
      lr: positive(),
      betas: or(listOf(fraction(), 'two numbers below 1'), [0.9, 0.999]),
      eps: positive(1e-8),
    },
    ({ lr, betas, eps }, span) => {
      const [first, second, third] = betas;
      if (first === undefined || second === undefined || third !== undefined) {
        return fail('adam has two betas', { span, help: 'write `betas=(0.9, 0.999)`' });
      }
      return { kind: 'adam', lr, betas: [first, second], eps };
    },
  ),
);

export const SCHEDULES = table<Schedule>(
  callable(
    'halve',
    'halves the learning rate every so many steps, or at given steps',
    { every: optional(count()), at: optional(steps()) },
    ({ every, at }, span) => {
      if (at && every === undefined) return { kind: 'at', at: ascending(at, span), by: 0.5 };
      if (every !== undefined && !at) return { kind: 'every', every, by: 0.5 };
      return fail('halve takes either `every` or `at`', {
        span,
        help: 'write `halve(every=200k)` or `halve(at=(50k, 100k))`',
      });
    },
  ),
  callable(
    'multistep',
    'multiplies the learning rate at given steps',
    { at: steps(), by: positive(0.1) },
    ({ at, by }, span) => ({ kind: 'at', at: ascending(at, span), by }),
  ),
  callable(
    'cosine',
    'cosine annealing with restarts',
    {
      periods: steps(),
      weights: optional(listOf(positive(), 'one number per period')),
      min: or(number(), 0),
    },
    ({ periods, weights = periods.map(() => 1), min }, span) =>
      weights.length === periods.length
        ? { kind: 'cosine', periods, weights, min }
        : fail('cosine needs one weight per period', {
            span,
            label: `${weights.length} weights for ${periods.length} periods`,
          }),
  ),
);

function ascending(at: readonly number[], span: Span): readonly number[] {
  const late = at.find((step, i) => i > 0 && step <= at[i - 1]!);
  return late === undefined
    ? at
    : fail('steps must ascend', { span, label: `${late} does not come after the one before it` });
}

export const AVERAGES = table<number>(
  callable(
    'ema',
    'exponential moving average of the parameters; validation and the result use it',
    { decay: fraction() },
    ({ decay }) => decay,
  ),
);

export const CLIPS = table<number>(
  callable('clip', 'limits the norm of the whole gradient', { norm: positive() }, ({ norm }) => norm),
);

export const AUGMENTATIONS = word(['flip', 'rot90']);
