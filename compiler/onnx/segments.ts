// A network as ONNX models of any of its parts, for an executor that cuts it (runtime/ort-executor.ts). The plan of the
// same graph tells it where: a segment is a range of the plan's steps, which are the graph's nodes.

import { internal } from '../../diagnostics.js';
import { writeOnnx } from '../../formats/onnx.js';
import type { Weights } from '../../runtime/constants.js';
import { type Dim, isSymbolic, printDim } from '../../runtime/dims.js';
import { scaleOf } from '../../runtime/halo.js';
import type { OnnxImage, OnnxNetwork, OnnxSegment } from '../../runtime/ort-executor.js';
import type { Graph, Node, Ref, TensorType } from '../graph.js';
import { lower } from '../lower.js';
import { image } from '../ops/types.js';
import { GENERIC } from '../target.js';
import { OnnxBuilder, type Source, sourceOf } from './builder.js';

/** Of a graph from `optimizeForExchange`. */
export function onnxNetwork(graph: Graph, weights: Weights): OnnxNetwork {
  const source = sourceOf(graph, weights);
  const { plan, origins } = lower(graph, GENERIC);
  const segment = (start: number, end: number) =>
    buildSegment(source, cutOut(graph, origins.slice(start, end), end === origins.length));
  return { plan, segment };
}

/** A part of a graph. */
interface Cut {
  readonly inputs: readonly Ref[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Ref[];
}

/** What `steps` compute. A concat belongs to whoever reads it: what it is made of is carried from segment to segment. */
function cutOut(graph: Graph, steps: readonly Node[], isLast: boolean): Cut {
  const output = graph.outputs[0] ?? internal(`${graph.name} has no output`);
  const concats = new Map(graph.nodes.filter(({ op }) => op === 'concat').map((node) => [node.ref, node]));
  const own = new Set(steps.map(({ ref }) => ref).filter((ref) => !concats.has(ref)));

  const inside = new Set(own);
  const pull = (ref: Ref) => {
    if (!concats.has(ref) || inside.has(ref)) return;
    inside.add(ref);
    concats.get(ref)!.inputs.forEach(pull);
  };
  const wanted = new Set<Ref>();
  const want = (ref: Ref) => {
    wanted.add(ref);
    concats.get(ref)?.inputs.forEach(want);
  };
  for (const { ref, op, inputs } of graph.nodes) {
    if (op !== 'concat') inputs.forEach(own.has(ref) ? pull : want);
  }
  if (isLast) pull(output);
  want(output);

  const nodes = graph.nodes.filter(({ ref }) => inside.has(ref));
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  return {
    nodes,
    inputs: [...read].filter((ref) => !inside.has(ref)),
    outputs: [...inside].filter((ref) => wanted.has(ref) && (own.has(ref) || ref === output)),
  };
}

function buildSegment(source: Source, { inputs, nodes, outputs }: Cut): OnnxSegment {
  const { graph, constants, types } = source;
  const builder = new OnnxBuilder(source, 'f32');
  const images = inputs.filter((ref) => !constants.has(ref));
  for (const ref of images) builder.define(ref, nameOf(ref));
  for (const node of nodes) builder.add(node);
  for (const ref of outputs) builder.rename(ref, nameOf(ref));
  const typeOf = (ref: Ref) => types.get(ref) ?? internal(`${ref} has no type`);
  const declare = (ref: Ref) => ({ name: nameOf(ref), shape: typeOf(ref).shape.map(sizeOf) });
  const model = writeOnnx({
    producer: { name: 'src', version: '' },
    metadata: {},
    name: graph.name,
    inputs: images.map(declare),
    outputs: outputs.map(declare),
    tensors: builder.tensors,
    nodes: builder.nodes,
  });
  const describe = (ref: Ref) => describeImage(ref, typeOf(ref));
  return { model, inputs: images.map(describe), outputs: outputs.map(describe) };
}

/** As the plan's ports are named. */
function nameOf(ref: Ref): string {
  return ref.slice(1);
}

function sizeOf(dim: Dim): number | string {
  return isSymbolic(dim) ? printDim(dim) : dim;
}

function describeImage(ref: Ref, type: TensorType): OnnxImage {
  const { n, c, h, w } = image(type, 'a segment');
  const scale = scaleOf({ dims: [n, h, w] }) ?? internal(`${ref} is no scaled image`);
  return { name: nameOf(ref), channels: c, scale };
}
