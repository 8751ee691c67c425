// All ops. Adding one: write its record in a family file beside this one; every test that loops over the registry
// (shape against reference, gradient against finite differences, kernel against reference) then covers it.

import { internal } from '../../diagnostics.js';
import type { Node, Ref, TensorType } from '../graph.js';
import { channelOps } from './channels.js';
import { convOps } from './conv.js';
import { loadOps } from './load.js';
import { mapOps } from './map.js';
import type { Op } from './op.js';
import { pointwiseOps } from './pointwise.js';
import { reduceOps } from './reduce.js';
import { resampleOps } from './resample.js';

export const OPS: ReadonlyMap<string, Op> = new Map(
  [...pointwiseOps, ...convOps, ...channelOps, ...resampleOps, ...reduceOps, ...loadOps, ...mapOps].map(
    (op) => [op.name, op],
  ),
);

/** A node with the type that its op's shape rule gives; throws `ShapeError` when the operands do not fit. */
export function makeNode(node: Omit<Node, 'type'>, typeOf: (ref: Ref) => TensorType): Node {
  return { ...node, type: opNamed(node.op).shape(node.inputs.map(typeOf), node.attrs) };
}

export function opNamed(name: string): Op {
  return OPS.get(name) ?? internal(`no op named ${name}`);
}
