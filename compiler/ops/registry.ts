// All ops. Adding one: write its record in a family file beside this one; every test that loops over the registry
// (shape against reference, gradient against finite differences, kernel against reference) then covers it.

import { internal } from '../../diagnostics.js';
import type { Node, Ref, TensorType } from '../graph.js';
import { channelOps } from './channels.js';
import { convOps } from './conv.js';
import { convGradientOps } from './conv-gradients.js';
import { convWeightOps } from './conv-weights.js';
import { applySteps, epilogueOf, prologueOf } from './epilogue.js';
import { loadOps } from './load.js';
import { mapOps } from './map.js';
import type { Op } from './op.js';
import { pointwiseOps } from './pointwise.js';
import { reduceOps } from './reduce.js';
import { resampleOps } from './resample.js';

/** A fused op's value includes what its prologue and its epilogue do. */
function withSteps(op: Op): Op {
  if (op.operands === undefined && !op.prologue) return op;
  return {
    ...op,
    reference(inputs, attrs, shape) {
      const [x, ...rest] = inputs;
      const first = x && applySteps(x, inputs, prologueOf(attrs));
      const value = op.reference(first ? [first, ...rest] : [], attrs, shape);
      return applySteps(value, inputs, epilogueOf(attrs));
    },
  };
}

export const OPS: ReadonlyMap<string, Op> = new Map(
  [
    ...pointwiseOps,
    ...convOps,
    ...convGradientOps,
    ...convWeightOps,
    ...channelOps,
    ...resampleOps,
    ...reduceOps,
    ...loadOps,
    ...mapOps,
  ].map((op) => [op.name, withSteps(op)]),
);

/** A node with the type that its op's shape rule gives; throws `ShapeError` when the operands do not fit. */
export function makeNode(node: Omit<Node, 'type'>, typeOf: (ref: Ref) => TensorType): Node {
  return { ...node, type: opNamed(node.op).shape(node.inputs.map(typeOf), node.attrs) };
}

export function opNamed(name: string): Op {
  return OPS.get(name) ?? internal(`no op named ${name}`);
}
