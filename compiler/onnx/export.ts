// A network as an ONNX model for other programs: images of any size and number from `input` to `output`, both in f32
// whatever the weights and activations are, because that is what those programs pass in and expect back. A network that
// folds its input (pixel-unshuffle) takes any size too: the model mirrors and crops, as the runtime does.

import { internal } from '../../diagnostics.js';
import { ONNX_TYPE, type OnnxModel } from '../../formats/onnx.js';
import type { Weights } from '../../runtime/constants.js';
import { type Dim, isSymbolic, printDim } from '../../runtime/dims.js';
import type { DType } from '../../runtime/plan.js';
import type { Graph } from '../graph.js';
import { alignment } from '../lower.js';
import { OnnxBuilder, sourceOf } from './builder.js';

export interface ExportOptions extends Pick<OnnxModel, 'producer' | 'metadata'> {
  readonly precision: DType;
}

const INPUT = 'input';
const OUTPUT = 'output';
/** The names of sizes. */
const SIZES: Readonly<Record<string, string>> = { n: 'batch', h: 'height', w: 'width' };

/** Of a graph from `optimizeForExchange` with one input and one output. */
export function exportOnnx(
  graph: Graph,
  weights: Weights,
  { precision, producer, metadata }: ExportOptions,
): OnnxModel {
  const [input] = graph.inputs;
  const [result] = graph.outputs;
  const builder = new OnnxBuilder(sourceOf(graph, weights), precision);
  const output = graph.nodes.find(({ ref }) => ref === result);
  if (!input || !output) internal(`${graph.name} is no network of one image`);
  const align = alignment(graph.nodes.flatMap(({ type }) => type.shape));

  let x = align > 1 ? mirrorTo(align, builder) : INPUT;
  if (precision === 'f16') x = builder.emit('Cast', [x], { to: ONNX_TYPE.f16 });
  builder.define(input.ref, x);
  for (const node of graph.nodes) builder.add(node);
  let y = builder.nameOf(output.ref);
  if (precision === 'f16') y = builder.emit('Cast', [y], { to: ONNX_TYPE.f32 });
  if (align > 1) y = cropTo(output.type.shape, y, builder);
  builder.define(output.ref, y);
  builder.rename(output.ref, OUTPUT);

  return {
    producer,
    metadata,
    name: graph.name,
    inputs: [{ name: INPUT, shape: input.type.shape.map(sizeOf) }],
    outputs: [{ name: OUTPUT, shape: output.type.shape.map(sizeOf) }],
    tensors: builder.tensors,
    nodes: builder.nodes,
  };
}

function sizeOf(dim: Dim): number | string {
  return isSymbolic(dim) ? printDim({ ...dim, sym: SIZES[dim.sym] ?? dim.sym }) : dim;
}

/** The input with mirrored rows and columns after its own, up to multiples of `align`: the same pixels as image.ts. */
function mirrorTo(align: number, builder: OnnxBuilder): string {
  const op = (name: string, ...inputs: (string | number)[]) =>
    builder.emit(
      name,
      inputs.map((value) => (typeof value === 'number' ? builder.integer(value) : value)),
    );
  const shape = op('Shape', INPUT);
  return [2, 3].reduce((x, axis) => {
    const size = op('Gather', shape, axis);
    const padded = op('Mul', op('Div', op('Add', size, align - 1), align), align);
    const period = op('Max', op('Sub', op('Mul', size, 2), 2), 1);
    const position = op('Mod', op('Range', 0, padded, 1), period);
    const source = op('Min', position, op('Sub', period, position));
    return builder.emit('Gather', [x, source], { axis });
  }, INPUT);
}

/** What `y` has of an input without those rows and columns. */
function cropTo([, , height]: readonly Dim[], y: string, builder: OnnxBuilder): string {
  if (height === undefined || !isSymbolic(height) || height.add !== 0)
    internal('the output is no scaled image');
  const { mul, div } = height;
  const emit = (op: string, ...inputs: string[]) => builder.emit(op, inputs);
  const size = emit('Gather', emit('Shape', INPUT), builder.integers([2, 3]));
  const scaled = emit('Mul', size, builder.integer(mul));
  const end = emit('Div', emit('Add', scaled, builder.integer(div - 1)), builder.integer(div));
  return emit('Slice', y, builder.integers([0, 0]), end, builder.integers([2, 3]));
}
