// Layers with state, in two forms. Training computes statistics on the batch, or takes a step of a power iteration, and
// says what becomes of the state; inference uses the state as stored, so that it folds into the weights around it.

import type { Init, Ref } from '../compiler/graph.js';
import { image } from '../compiler/ops/types.js';
import { constant, type Site } from './site.js';
import type { TensorValue } from './values.js';

interface BatchNorm {
  readonly eps: number;
  /** Share of the batch in the new running statistics. */
  readonly momentum: number;
}

/** PyTorch's BatchNorm2d: y = (x - mean) * gamma / sqrt(var + eps) + beta. */
export function batchnorm(site: Site, x: TensorValue, { eps, momentum }: BatchNorm): Ref {
  const { c } = image(x.type, 'batchnorm');
  const gamma = site.param('weight', [c], constant(1));
  const beta = site.param('bias', [c], constant(0));
  const runningMean = site.state('running_mean', [c], constant(0));
  const runningVar = site.state('running_var', [c], constant(1));
  const scaleOf = (variance: Ref) =>
    site.emit('mul', [gamma, site.emit('rsqrt', [site.emit('offset', [variance], { by: eps })])]);

  if (!site.training) {
    // x * s + (beta - mean * s): folds into the conv before it.
    const s = scaleOf(runningVar);
    const t = site.emit('sub', [beta, site.emit('mul', [runningMean, s])]);
    return site.emit('add', [site.emit('mul', [x.ref, s]), t]);
  }
  const mean = site.emit('reduce_mean', [x.ref], { keep: 'channel' });
  const centred = site.emit('sub', [x.ref, mean]);
  const squares = site.emit('square', [centred]);
  const variance = site.emit('reduce_mean', [squares], { keep: 'channel' });
  // What is divided by has the biased variance, what is remembered the unbiased one.
  const unbiased = site.emit('reduce_mean', [squares], { keep: 'channel', ddof: 1 });
  for (const [state, value] of [
    [runningMean, mean],
    [runningVar, unbiased],
  ] as const) {
    const kept = site.emit('scale', [site.current(state)], { by: 1 - momentum });
    site.update(state, site.emit('add', [kept, site.emit('scale', [value], { by: momentum })]));
  }
  return site.emit('add', [site.emit('mul', [centred, scaleOf(variance)]), beta]);
}

/** Of torch.nn.utils.spectral_norm. */
const SPECTRAL_EPS = 1e-12;

/**
 * A conv's weight divided by its largest singular value sigma = u' W v, W read as the matrix [O, I*k*k]
 * (arXiv:1802.05957; torch.nn.utils.spectral_norm, whose names the three tensors have). Each training forward takes
 * one step of the power iteration v = W'u / |W'u|, u = W v / |W v|, through which no gradient flows.
 */
export function spectralWeight(
  site: Site,
  shape: readonly [outputs: number, inputs: number, kernel: number],
  init: Init,
): Ref {
  const [outputs, inputs, kernel] = shape;
  const weight = site.param('weight_orig', [outputs, inputs, kernel, kernel], init);
  const u = site.state('weight_u', [outputs], { kind: 'unit' });
  const v = site.state('weight_v', [inputs * kernel * kernel], { kind: 'unit' });
  if (!site.training) return site.emit('div', [weight, site.emit('spectral_norm', [weight, u, v])]);

  // The rows of W lie like one image of kernel x kernel pixels each: W v is a conv that sees all of it at once, and
  // W'u is that conv's adjoint.
  const conv = { stride: 1, pad: 0 };
  const extent = [`${kernel}`, `${kernel}`];
  const before = site.emit('to_pixel', [site.current(u)]);
  const right = unit(site, site.emit('conv2d_dgrad', [before, weight], { ...conv, extent }));
  const product = site.emit('conv2d', [right, weight], conv);
  const left = unit(site, product);
  site.update(u, site.emit('from_pixel', [left]));
  site.update(v, site.emit('from_pixel', [site.emit('pixel_unshuffle', [right], { factor: kernel })]));
  const sigma = site.emit('reduce_sum', [site.emit('mul', [product, left])], { keep: 'none' });
  return site.emit('div', [weight, sigma]);
}

/** x / max(|x|, eps), a constant to the gradient. */
function unit(site: Site, x: Ref): Ref {
  const squared = site.emit('reduce_sum', [site.emit('square', [x])], { keep: 'none' });
  const least = site.emit('constant', [], { values: [SPECTRAL_EPS], shape: [] });
  const norm = site.emit('maximum', [site.emit('sqrt', [squared]), least]);
  return site.emit('detach', [site.emit('div', [x, norm])]);
}
