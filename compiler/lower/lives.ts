// What a step needs in memory, before its kernels are chosen: the buffers that its values lie in, from the node that
// makes them to the last that uses them, placed as the runtime places them.

import { bufferBytes, type Life, place as placeLives } from '../../runtime/memory.js';
import type { Graph, Ref } from '../graph.js';
import { place } from '../placement.js';
import type { Target } from '../target.js';
import { BufferTable, type Persistence } from './buffers.js';
import { ConstantTable } from './constants.js';

/** Bytes of what a training step computes, without what it trains. */
export function plannedBytes(graph: Graph, { precision }: Target, persistence: Persistence): number {
  const placement = place(graph);
  const constants = new ConstantTable(graph, precision, (param) => persistence.residents.has(param));
  const buffers = new BufferTable(graph, placement, constants, precision, persistence);
  const lives = new Map<number, Life>();
  const use = (ref: Ref, moment: number) => {
    if (constants.has(ref)) return;
    const { buffer } = buffers.operand(ref);
    const described = buffers.list[buffer]!;
    if (described.resident) return;
    const first = lives.get(buffer)?.first ?? moment;
    lives.set(buffer, { bytes: bufferBytes(described, {}), first, last: moment });
  };
  for (const { ref } of graph.inputs) use(ref, -1);
  graph.nodes.forEach(({ ref, inputs }, moment) => {
    if (placement.aliases.has(ref)) return;
    for (const input of inputs) use(input, moment);
    use(ref, moment);
  });
  const end = graph.nodes.length;
  for (const ref of [...graph.outputs, ...graph.updates.map(({ value }) => value)]) use(ref, end);
  return placeLives([...lives.values()]).sizes.reduce((sum, bytes) => sum + bytes, 0);
}
