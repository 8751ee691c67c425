// Gradients as the device computes them best: upsampling and a conv as the adjoint of a conv, and long sums in two halves
// of fixed order, the first of which has work for every invocation.

import { printDim } from '../../runtime/dims.js';
import { roundUp } from '../../runtime/kernels/kernel.js';
import type { Attrs, Graph, Node, Ref } from '../graph.js';
import { typesOf } from '../graph.js';
import { layoutsOf } from '../layout.js';
import { divisorOf } from '../ops/reduce.js';
import { makeNode } from '../ops/registry.js';
import { sameShape } from '../ops/types.js';
import { type Counted, eliminateDead, type Rule } from '../rewrite.js';
import type { Target } from '../target.js';
import { sizeOf } from '../tensor.js';

/**
 * Nearest-x2 and then a 3x3 conv is the adjoint of a 4x4 conv of stride 2 (`nearest_kernel`): 16 multiplications for the
 * 36 of each small pixel, forward, in the gradient of the input (that conv) and in that of the weights. Before
 * differentiation, which then needs no rule of its own for it.
 */
const nearestAdjoint: Rule = {
  name: 'nearest-conv-as-adjoint',
  apply({ op, inputs, attrs, type, loc }, context) {
    const [x, w] = inputs as [Ref, Ref];
    const up = context.def(x);
    if (op !== 'conv2d' || up?.op !== 'upsample_nearest' || up.attrs.factor !== 2) return undefined;
    const [, , kh, kw] = context.type(w).shape;
    if (kh !== 3 || kw !== 3 || attrs.stride !== 1 || attrs.pad !== 1) return undefined;
    const kernel = context.emit('nearest_kernel', [w], {}, loc);
    const extent = type.shape.slice(2).map(printDim);
    return context.emit('conv2d_dgrad', [up.inputs[0]!, kernel], { stride: 2, pad: 1, extent }, loc);
  },
};

/**
 * The gradient of weights that are applied to two batches, where the weights are larger than what they are made from, as
 * those of a critic's last layers: of both batches as one, without a second tensor of their size.
 */
const stackBatches: Rule = {
  name: 'stack-batches',
  apply({ op, inputs, type, loc }, context) {
    const [a, b] = inputs.map((ref) => (context.usedOnce(ref) ? context.def(ref) : undefined));
    if (op !== 'add' || a?.op !== 'conv2d_wgrad' || b?.op !== 'conv2d_wgrad') return undefined;
    const shapeOf = (ref: Ref) => context.type(ref).shape as number[];
    const areAlike = a.inputs.every((ref, i) =>
      sameShape(shapeOf(ref).slice(1), shapeOf(b.inputs[i]!).slice(1)),
    );
    const made = [...a.inputs, ...b.inputs].reduce((sum, ref) => sum + sizeOf(shapeOf(ref)), 0);
    if (!areAlike || JSON.stringify(a.attrs) !== JSON.stringify(b.attrs)) return undefined;
    if (sizeOf(type.shape as number[]) < made) return undefined;
    const both = a.inputs.map((ref, i) => context.emit('stack', [ref, b.inputs[i]!], {}, loc));
    return context.emit('conv2d_wgrad', both, a.attrs, loc);
  },
};

export const weightGradients: readonly Rule[] = [stackBatches];
export const upsampledConvs: readonly Rule[] = [nearestAdjoint];

/** Vectors of four channels that one workgroup sums about as fast as a second kernel would be started. */
const SHORT_SUM = { hardware: 2 ** 12, software: 2 ** 11 };
/** Invocations that keep a device busy, each of which keeps about this many sums in registers. */
const INVOCATIONS = { hardware: 2 ** 16, software: 2 ** 12 };
const SUMS_PER_INVOCATION = 48;
const MOST_PARTS = 256;

type Device = Pick<Target, 'software'>;

/** The largest power of two of parts that the rows of all images allow and that makes no more work than needed. */
function partsFor(dy: readonly number[], [o, i, kh, kw]: readonly number[], { software }: Device): number {
  const sums = kh! * kw! * roundUp(i!, 4) * roundUp(o!, 4);
  const invocations = INVOCATIONS[software ? 'software' : 'hardware'];
  const limit = Math.min(MOST_PARTS, dy[0]! * dy[2]!, (invocations * SUMS_PER_INVOCATION) / sums);
  return 2 ** Math.max(0, Math.floor(Math.log2(limit)));
}

/** Sums of images and gradients of weights as two nodes each. */
export function splitSums(graph: Graph, device: Device): Counted {
  const types = typesOf(graph);
  const layouts = layoutsOf(graph);
  const typeOf = (ref: Ref) => types.get(ref)!;
  let count = 0;
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const halves = halvesOf(
      node,
      (ref) => typeOf(ref).shape as readonly number[],
      layouts.get(node.inputs[0] ?? ''),
      device,
    );
    if (!halves) return [node];
    const loc = node.loc && { loc: node.loc };
    const [before, after] = halves;
    const first = makeNode({ ref: `${node.ref}h`, ...before, inputs: node.inputs, ...loc }, typeOf);
    types.set(first.ref, first.type);
    count++;
    return [first, makeNode({ ref: node.ref, ...after, inputs: [first.ref], ...loc }, typeOf)];
  });
  return { graph: eliminateDead({ ...graph, nodes }), count };
}

interface Half {
  readonly op: string;
  readonly attrs: Attrs;
}

function halvesOf(
  { op, inputs, attrs, type }: Node,
  shapeOf: (ref: Ref) => readonly number[],
  layout: string | undefined,
  device: Device,
): readonly [Half, Half] | undefined {
  if (op === 'conv2d_wgrad') {
    const parts = partsFor(shapeOf(inputs[1]!), type.shape as readonly number[], device);
    if (parts === 1) return undefined;
    return [
      { op: 'conv2d_wgrad_parts', attrs: { ...attrs, parts } },
      { op: 'sum_parts', attrs: {} },
    ];
  }
  if ((op !== 'reduce_sum' && op !== 'reduce_mean') || layout !== 'image') return undefined;
  const shape = shapeOf(inputs[0]!);
  const [n, , h, w] = shape as [number, number, number, number];
  const vectors = n * h * w * (attrs.keep === 'none' ? Math.ceil(shape[1]! / 4) : 1);
  const divisor = op === 'reduce_mean' ? divisorOf(shape, attrs) : 1;
  if (w === 1 || vectors <= SHORT_SUM[device.software ? 'software' : 'hardware']) {
    // The biased and the unbiased variance share a sum.
    const by = divisorOf(shape, { ...attrs, ddof: 0 }) / divisor;
    return attrs.ddof === undefined
      ? undefined
      : [
          { op, attrs: { keep: attrs.keep! } },
          { op: 'scale', attrs: { by } },
        ];
  }
  return [
    { op: 'sum_columns', attrs: {} },
    { op: 'sum_rows', attrs: { keep: attrs.keep!, divisor } },
  ];
}
