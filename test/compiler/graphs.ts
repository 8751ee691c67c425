// Random small graphs of the ops that networks are made of, for properties of passes and lowering. Each choice picks
// among the values that exist so far, so values are shared, reused in several concats, and left over.

import fc from 'fast-check';
import { GraphBuilder } from '../../compiler/builder.js';
import type { Attrs, Graph, Ref } from '../../compiler/graph.js';
import { ShapeError } from '../../compiler/ops/op.js';
import { sameShape } from '../../compiler/ops/types.js';
import { eliminateDead } from '../../compiler/rewrite.js';
import type { Tensor } from '../../compiler/tensor.js';
import { printGraph } from '../../compiler/text.js';
import { isSymbolic, type Sizes, sym } from '../../runtime/dims.js';
import { randomSource, randomTensor } from '../random.js';

/** Numbers that a choice is made of: which op, which operands, which variant. */
type Choice = readonly [op: number, a: number, b: number, variant: number];

export const SIZES: Sizes = { n: 1, h: 8, w: 4 };

const UNARY: readonly (readonly [op: string, attrs: Attrs])[] = [
  ['lrelu', { slope: 0.2 }],
  ['relu', {}],
  ['scale', { by: 0.5 }],
  ['offset', { by: 0.25 }],
  ['tanh', {}],
  ['square', {}],
];
const BINARY = ['add', 'sub', 'mul', 'maximum'];
const VECTOR = ['add', 'mul', 'sub', 'prelu'];

class Network {
  readonly builder = new GraphBuilder('random');
  readonly images: Ref[] = [];
  #params = 0;

  constructor(channels: readonly number[]) {
    const size = [sym('h'), sym('w')];
    channels.forEach((c, i) => {
      this.images.push(this.builder.input(`x${i}`, { shape: [sym('n'), c, ...size] }));
    });
  }

  pick(index: number): Ref {
    return this.images[index % this.images.length]!;
  }

  param(shape: readonly number[]): Ref {
    return this.builder.param(`p${this.#params++}`, shape, { kind: 'constant', value: 0 });
  }

  channels(ref: Ref): number {
    return Number(this.builder.type(ref).shape[1]);
  }

  /** The images that `a` can be joined with. */
  peers(a: Ref, whole: boolean): Ref[] {
    const { shape } = this.builder.type(a);
    const from = whole ? 0 : 2;
    return this.images.filter((ref) =>
      sameShape(this.builder.type(ref).shape.slice(from), shape.slice(from)),
    );
  }

  conv(x: Ref, width: number, kernel: number, attrs: Attrs): Ref {
    const w = this.param([width, this.channels(x), kernel, kernel]);
    return this.builder.emit('conv2d', [x, w], attrs);
  }
}

type Step = (network: Network, a: Ref, b: number, variant: number) => Ref;

const STEPS: readonly Step[] = [
  (net, a, b, variant) =>
    net.conv(a, 1 + (b % 5), variant % 2 ? 1 : 3, { stride: 1, pad: variant % 2 ? 0 : 1 }),
  (net, a, b) => net.conv(a, 4 * (1 + (b % 2)), 3, { stride: 1, pad: 1 }),
  (net, a) => net.conv(a, 4, 4, { stride: 2, pad: 1 }),
  (net, a, b, variant) => {
    const up = net.builder.emit('upsample_nearest', [a], { factor: 2 });
    return variant % 3 ? net.conv(up, 1 + (b % 4), 3, { stride: 1, pad: 1 }) : up;
  },
  (net, a, _b, variant) =>
    net.builder.emit(variant % 2 ? 'pixel_shuffle' : 'pixel_unshuffle', [a], { factor: 2 }),
  (net, a) => net.builder.emit('max_pool', [a], { size: 2, stride: 2 }),
  (net, a, b) => net.builder.emit(...nth(UNARY, b, a)),
  (net, a, b) => net.builder.emit(...nth(UNARY, b, a)),
  (net, a, b, variant) => {
    const peers = net.peers(a, true);
    return net.builder.emit(BINARY[variant % BINARY.length]!, [a, peers[b % peers.length]!]);
  },
  (net, a, b, variant) => {
    const peers = net.peers(a, true);
    return net.builder.emit(BINARY[variant % BINARY.length]!, [peers[b % peers.length]!, a]);
  },
  (net, a, _b, variant) =>
    net.builder.emit(VECTOR[variant % VECTOR.length]!, [a, net.param([net.channels(a)])]),
  (net, a, _b, variant) =>
    net.builder.emit(VECTOR[variant % VECTOR.length]!, [a, net.param([net.channels(a)])]),
  (net, a, b, variant) => {
    const peers = net.peers(a, false);
    const parts = Array.from(
      { length: 1 + (variant % 3) },
      (_, i) => peers[(b + i * variant) % peers.length]!,
    );
    return net.builder.emit('concat', [a, ...parts]);
  },
  (net, a, b, variant) => {
    const from = b % net.channels(a);
    return net.builder.emit('slice', [a], { from, to: from + 1 + (variant % (net.channels(a) - from)) });
  },
];

function nth(table: typeof UNARY, index: number, a: Ref): [string, readonly Ref[], Attrs] {
  const [op, attrs] = table[index % table.length]!;
  return [op, [a], attrs];
}

/** Large enough that a pass meets its patterns, small enough for the CPU. */
const MAX_ELEMENTS = 2 ** 12;

function elementsAt(network: Network, ref: Ref): number {
  return network.builder
    .type(ref)
    .shape.reduce<number>(
      (size, dim) => size * (isSymbolic(dim) ? (SIZES[dim.sym]! * dim.mul) / dim.div : dim),
      1,
    );
}

function build(inputs: readonly number[], choices: readonly Choice[], outputs: readonly number[]): Graph {
  const network = new Network(inputs);
  for (const [op, a, b, variant] of choices) {
    try {
      const ref = STEPS[op % STEPS.length]!(
        network,
        network.pick(network.images.length - 1 - (a % network.images.length)),
        b,
        variant,
      );
      const whole = network.builder
        .type(ref)
        .shape.every((dim) => !isSymbolic(dim) || SIZES[dim.sym]! % dim.div === 0);
      if (whole && elementsAt(network, ref) <= MAX_ELEMENTS) network.images.push(ref);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
    }
  }
  const last = network.images.length - 1;
  const refs = outputs.map((index) => network.pick(last - (index % (last + 1))));
  return eliminateDead(network.builder.finish([...new Set(refs)]));
}

const number = fc.nat({ max: 60 });

/** As text, which is how a counterexample is best read. */
export const randomGraph: fc.Arbitrary<string> = fc
  .record({
    inputs: fc.array(fc.constantFrom(1, 3, 4, 8), { minLength: 1, maxLength: 2 }),
    choices: fc.array(fc.tuple(number, fc.nat({ max: 8 }), number, number), { minLength: 1, maxLength: 14 }),
    outputs: fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ inputs, choices, outputs }) => printGraph(build(inputs, choices, [0, ...outputs.slice(1)])));

/** Values for every input and parameter. */
export function randomValues(graph: Graph): Map<Ref, Tensor> {
  const random = randomSource(5);
  return new Map(
    [...graph.inputs, ...graph.params].map(({ ref, type }) => [
      ref,
      randomTensor(
        type.shape.map((dim) => (isSymbolic(dim) ? SIZES[dim.sym]! : dim)),
        random,
      ),
    ]),
  );
}
