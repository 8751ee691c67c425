// A network as a table of its statements: one row for each place in the text and shape it makes, in order, with how
// often it was instantiated, its parameters and its share of the arithmetic.

import { printLoc } from '../diagnostics.js';
import type { Graph, Ref } from './graph.js';
import { typesOf } from './graph.js';
import { printImage } from './ops/types.js';
import { macsPerPixel } from './summary.js';
import { sizeOf } from './tensor.js';

export interface Layer {
  /** `graphs/esrgan.sr:7:3` */
  readonly at: string;
  readonly op: string;
  /** `(64, h, w)` */
  readonly shape: string;
  readonly count: number;
  readonly parameters: number;
  /** Multiply-accumulates per pixel of the network's input, over all instances. */
  readonly macsPerPixel: number;
}

export function layersOf(graph: Graph): Layer[] {
  const types = typesOf(graph);
  const macs = macsPerPixel(graph, types);
  const rows = new Map<string, Layer>();
  // What is computed from parameters alone, and from which: it is part of the layer that uses it.
  const sources = new Map<Ref, readonly Ref[]>(
    graph.params.map(({ ref, trainable }) => [ref, trainable ? [ref] : []]),
  );
  const counted = new Set<Ref>();
  for (const node of graph.nodes) {
    const { ref, op, inputs, type, loc } = node;
    const params = inputs.flatMap((input) => sources.get(input) ?? []);
    if (inputs.every((input) => sources.has(input))) {
      sources.set(ref, params);
      continue;
    }
    if (type.shape.length !== 4 || !loc) continue;
    const at = printLoc(loc);
    const shape = printImage(type);
    const key = `${at} ${shape}`;
    const fresh = [...new Set(params)].filter((param) => !counted.has(param));
    for (const param of fresh) counted.add(param);
    const row = rows.get(key) ?? { at, op, shape, count: 0, parameters: 0, macsPerPixel: 0 };
    rows.set(key, {
      ...row,
      count: row.count + Number(row.op === op),
      parameters:
        row.parameters + fresh.reduce((sum, param) => sum + sizeOf(types.get(param)!.shape as number[]), 0),
      macsPerPixel: row.macsPerPixel + macs(node),
    });
  }
  return [...rows.values()];
}
