// Guesses what network a list of tensor shapes is, in execution order, whatever their names: for `src inspect`, and to
// say why weights do not fit ("the file has 23 blocks, the graph has 6"). Never decides anything.

import { leafOf } from './keys.js';
import { elementsOf } from './values.js';

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface Network {
  /** "RRDB network" */
  readonly title: string;
  readonly facts: Readonly<Record<string, number>>;
}

type Conv = readonly [outputs: number, inputs: number, height: number, width: number];

/** Convolutions of a residual dense block. */
const RDB = 5;

export function guessNetwork(tensors: readonly NamedShape[]): Network | undefined {
  const convs = tensors.flatMap(({ shape: [o, i, h, w], name, shape }): Conv[] =>
    shape.length === 4 && leafOf(name) === 'weight' ? [[o!, i!, h!, w!]] : [],
  );
  const [head] = convs;
  const last = convs.at(-1);
  if (!head || !last || convs.length < 3) return undefined;
  return (
    guessDiscriminator(convs, head) ??
    guessVgg(convs, head) ??
    guessCompact(tensors, convs, head, last) ??
    guessRrdb(convs, head, last) ??
    guessResNet(convs, head, last)
  );
}

/** `RRDB network: blocks 23, features 64, growth 32, scale 4` */
export function printNetwork({ title, facts }: Network): string {
  return `${title}: ${Object.entries(facts)
    .map(([fact, value]) => `${fact} ${value}`)
    .join(', ')}`;
}

/** Values a network has: weights and biases, not running statistics, singular vectors or counters. */
export function countParameters(tensors: readonly NamedShape[]): number {
  return tensors
    .filter(
      ({ name }) => !/^(running_mean|running_var|weight_u|weight_v|num_batches_tracked)$/.test(leafOf(name)),
    )
    .reduce((sum, { shape }) => sum + elementsOf(shape), 0);
}

/** The second convolution halves the size with a 4x4 kernel. */
function guessDiscriminator(convs: readonly Conv[], head: Conv): Network | undefined {
  if (convs[1]?.[2] !== 4) return undefined;
  return { title: 'VGG discriminator', facts: { features: head[0], convs: convs.length } };
}

function guessVgg(convs: readonly Conv[], head: Conv): Network | undefined {
  const widths = convs.slice(0, 3).map(([outputs]) => outputs);
  if (head[1] !== 3 || widths.join() !== '64,64,128') return undefined;
  return { title: 'VGG classifier', facts: { convs: convs.length } };
}

/** A slope after every convolution but the last, all of one width. */
function guessCompact(
  tensors: readonly NamedShape[],
  convs: readonly Conv[],
  head: Conv,
  last: Conv,
): Network | undefined {
  const features = head[0];
  const vectors = tensors.filter(({ name, shape }) => shape.length === 1 && leafOf(name) === 'weight');
  const middle = convs.slice(1, -1);
  const normalised = tensors.some(({ name }) => leafOf(name) === 'running_mean');
  const plain = isPlain(head, features, head[1]) && middle.every((conv) => isPlain(conv, features));
  if (normalised || !plain || vectors.length !== convs.length - 1) return undefined;
  const facts = { convs: middle.length, features, scale: Math.sqrt(last[0] / head[1]) };
  return { title: 'SRVGGNetCompact', facts };
}

/** Dense blocks of five convolutions, three to a block; then trunk, one conv for each doubling, hr, last. */
function guessRrdb(convs: readonly Conv[], head: Conv, last: Conv): Network | undefined {
  const features = head[0];
  const growth = convs[1]?.[0] ?? 0;
  let at = 1;
  while (isDenseBlock(convs.slice(at, at + RDB), features, growth)) at += RDB;
  const rest = convs.slice(at, -1);
  const blocks = (at - 1) / RDB / 3;
  const doublings = rest.length - 2;
  if (blocks === 0 || doublings < 0 || !rest.every((conv) => isPlain(conv, features))) return undefined;
  const unshuffle = Math.sqrt(head[1] / last[0]); // x2 and x1 networks fold pixels into channels first
  return { title: 'RRDB network', facts: { blocks, features, growth, scale: 2 ** doublings / unshuffle } };
}

/** Pairs of convolutions in blocks, then convs that widen for pixel shuffles; 9x9 at both ends in SRGAN's own. */
function guessResNet(convs: readonly Conv[], head: Conv, last: Conv): Network | undefined {
  const features = head[0];
  const widening = convs.filter(([outputs, inputs]) => inputs === features && outputs % (4 * features) === 0);
  const plain = convs.slice(1, -1).filter((conv) => isPlain(conv, features));
  const tail = 1; // the trunk's conv in SRGAN, conv_hr in MSRResNet
  const blocks = (plain.length - tail) / 2;
  const complete = convs.length === plain.length + widening.length + 2 && Number.isInteger(blocks);
  if (!complete || blocks === 0 || widening.length === 0) return undefined;
  const title = head[2] === 9 && last[2] === 9 ? 'SRResNet' : 'MSRResNet';
  return { title, facts: { blocks, features, scale: 2 ** widening.length } };
}

function isDenseBlock(convs: readonly Conv[], features: number, growth: number): boolean {
  return (
    convs.length === RDB &&
    convs.every((conv, k) => isPlain(conv, k < RDB - 1 ? growth : features, features + k * growth))
  );
}

function isPlain([outputs, inputs, height, width]: Conv, features: number, from = features): boolean {
  return outputs === features && inputs === from && height === 3 && width === 3;
}
