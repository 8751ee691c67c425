// Runs a graph on the CPU with the reference of every op, in f64: the meaning of a graph, slow and plain.

import { internal } from '../diagnostics.js';
import { evalDim, isSymbolic, type Sizes } from '../runtime/dims.js';
import type { Graph, Ref, TensorType } from './graph.js';
import { opNamed } from './ops/registry.js';
import { sizeOf, type Tensor } from './tensor.js';

/**
 * Values of the graph's outputs. `values` gives a tensor for every input and parameter, by ref (`%x`, `@conv.weight`);
 * symbolic sizes are read off the inputs.
 */
export function interpret(graph: Graph, values: ReadonlyMap<Ref, Tensor>): Tensor[] {
  const sizes = bindSizes(graph, values);
  const known = new Map(values);
  const read = (ref: Ref) => known.get(ref) ?? internal(`no value for ${ref}`);
  for (const node of graph.nodes) {
    const shape = concrete(node.type, sizes);
    const value = opNamed(node.op).reference(node.inputs.map(read), node.attrs, shape);
    if (value.data.length !== sizeOf(shape))
      internal(`${node.op} gave ${value.data.length} elements for [${shape}]`);
    known.set(node.ref, { shape, data: value.data });
  }
  return graph.outputs.map(read);
}

export function concrete(type: TensorType, sizes: Sizes): number[] {
  return type.shape.map((dim) => evalDim(dim, sizes));
}

/** Solves the symbols from the shapes of the given inputs. */
function bindSizes(graph: Graph, values: ReadonlyMap<Ref, Tensor>): Sizes {
  const sizes: Record<string, number> = {};
  for (const { ref, type } of graph.inputs) {
    const actual = values.get(ref)?.shape ?? internal(`no value for input ${ref}`);
    type.shape.forEach((dim, i) => {
      if (isSymbolic(dim)) sizes[dim.sym] ??= ((actual[i]! - dim.add) * dim.div) / dim.mul;
    });
    const expected = concrete(type, sizes);
    if (expected.some((extent, i) => extent !== actual[i])) {
      internal(`input ${ref} is [${actual}], the graph says [${expected}]`);
    }
  }
  return sizes;
}
