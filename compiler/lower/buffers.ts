// Where every value lies on the device: a buffer of its own, a channel range of a larger one, or the place of a tensor
// that outlives the run.

import { internal } from '../../diagnostics.js';
import type { DType, Operand, PlanBuffer, Residence } from '../../runtime/plan.js';
import { type Graph, type Node, type Ref, results, type TensorType, typesOf, type Update } from '../graph.js';
import { geometryOf, type Layout, layoutsOf } from '../layout.js';
import { isPointwise } from '../ops/pointwise.js';
import { opNamed } from '../ops/registry.js';
import type { Placement } from '../placement.js';
import type { ConstantTable } from './constants.js';

/** What outlives a run of a training step. */
export interface Persistence {
  /** The resident of each parameter that is no constant. */
  readonly residents: ReadonlyMap<Ref, number>;
  /** Of each trained parameter: the graph's last outputs. */
  readonly gradients: ReadonlyMap<Ref, Ref>;
}

export class BufferTable {
  readonly list: PlanBuffer[] = [];
  readonly #operands = new Map<Ref, Operand>();
  /** The places of gradients, by parameter. */
  readonly #gradients = new Map<Ref, Operand>();
  readonly #types: ReadonlyMap<Ref, TensorType>;
  readonly #layouts: ReadonlyMap<Ref, Layout>;

  constructor(
    graph: Graph,
    placement: Placement,
    constants: ConstantTable,
    precision: DType,
    persistence: Persistence,
  ) {
    this.#types = typesOf(graph);
    this.#layouts = layoutsOf(graph);
    const { homes, aliases } = placement;
    this.#placePersistent(
      graph,
      persistence,
      (ref) => homes.has(ref) || aliases.has(ref) || constants.has(ref),
    );

    const ports = new Set<Ref>([...graph.inputs.map((input) => input.ref), ...graph.outputs]);
    const sums = new Set(graph.nodes.filter(({ op }) => op === 'sum_columns').map(({ ref }) => ref));
    const fromImages = dependents(graph);
    const values = [...graph.inputs, ...graph.nodes]
      .map(({ ref }) => ref)
      .filter((ref) => !constants.has(ref));
    for (const ref of values) {
      if (homes.has(ref) || aliases.has(ref) || this.#operands.has(ref)) continue;
      // What is computed from parameters alone, and every sum, is small and wants precision.
      const isImage =
        this.layout(ref) === 'image' && fromImages.has(ref) && !ports.has(ref) && !sums.has(ref);
      this.#operands.set(ref, this.#allocate(ref, isImage ? precision : 'f32'));
    }
    for (const ref of values) {
      const home = homes.get(ref);
      if (home)
        this.#operands.set(ref, this.#within(ref, { ...this.operand(home.slab), offset: home.offset }));
    }
    for (const ref of values) {
      const alias = aliases.get(ref);
      if (!alias) continue;
      const { buffer, offset } = this.operand(alias.of);
      this.#operands.set(ref, this.#within(ref, { buffer, offset: offset + alias.offset }));
    }
  }

  operand(ref: Ref): Operand {
    return this.#operands.get(ref) ?? internal(`${ref} has no buffer`);
  }

  /** Where the gradient of a parameter must end up. */
  gradientOf(param: Ref): Operand {
    return this.#gradients.get(param) ?? internal(`${param} is not trained`);
  }

  layout(ref: Ref): Layout {
    return this.#layouts.get(ref) ?? internal(`${ref} has no layout`);
  }

  /** Buffers of residents; gradients and new state are written there at once where that is possible. */
  #placePersistent(graph: Graph, persistence: Persistence, isElsewhere: (ref: Ref) => boolean): void {
    const { residents, gradients } = persistence;
    const uses = new Uses(graph, residents);
    for (const [param, resident] of residents) {
      this.#operands.set(param, this.#allocate(param, 'f32', { resident, of: 'value' }));
    }
    for (const [param, gradient] of gradients) {
      const place = this.#allocate(param, 'f32', { resident: residents.get(param)!, of: 'gradient' });
      this.#gradients.set(param, place);
      if (!isElsewhere(gradient) && uses.isGradientAlone(gradient)) this.#operands.set(gradient, place);
    }
    for (const update of graph.updates) {
      if (isElsewhere(update.value) || !uses.isInPlace(update)) continue;
      this.#operands.set(update.value, this.operand(update.param));
    }
  }

  #allocate(ref: Ref, dtype: DType, resident?: Residence): Operand {
    const { dims, stride, channels } = geometryOf(this.#types.get(ref)!, this.layout(ref));
    const buffer = this.list.length;
    this.list.push({ name: ref.slice(1), dims, stride, dtype, ...(resident && { resident }) });
    return { buffer, offset: 0, channels };
  }

  #within(ref: Ref, { buffer, offset }: Omit<Operand, 'channels'>): Operand {
    return { buffer, offset, channels: geometryOf(this.#types.get(ref)!, this.layout(ref)).channels };
  }
}

/** What the inputs of the graph have an influence on. */
function dependents(graph: Graph): Set<Ref> {
  const set = new Set(graph.inputs.map(({ ref }) => ref));
  for (const { ref, inputs } of graph.nodes) if (inputs.some((input) => set.has(input))) set.add(ref);
  return set;
}

/** Who uses what, for what is written where it stays. */
class Uses {
  readonly #nodes = new Map<Ref, Node>();
  readonly #places = new Map<Ref, number>();
  readonly #readers = new Map<Ref, Node[]>();
  /** How often a value is a result of the graph. */
  readonly #results = new Map<Ref, number>();
  readonly #residents: ReadonlyMap<Ref, number>;

  constructor(graph: Graph, residents: ReadonlyMap<Ref, number>) {
    this.#residents = residents;
    graph.nodes.forEach((node, place) => {
      this.#nodes.set(node.ref, node);
      this.#places.set(node.ref, place);
      for (const input of node.inputs) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node]);
    });
    for (const ref of results(graph)) this.#results.set(ref, (this.#results.get(ref) ?? 0) + 1);
  }

  /** No dispatch may read this gradient and write the place of another: they lie in one buffer. */
  isGradientAlone(gradient: Ref): boolean {
    const readers = this.#readers.get(gradient) ?? [];
    const isRead = readers.some(({ ref }) => this.#results.has(ref));
    return this.#nodes.has(gradient) && this.#results.get(gradient) === 1 && !isRead;
  }

  /** State becomes its new value element by element when nothing needs the old one any more. */
  isInPlace({ param, value }: Update): boolean {
    const node = this.#nodes.get(value);
    if (!node || !isElementwise(node) || !node.inputs.includes(param)) return false;
    if (node.inputs.some((ref) => ref !== param && this.#residents.has(ref))) return false;
    const place = this.#places.get(value)!;
    const isLast = (this.#readers.get(param) ?? []).every(
      ({ ref, op }) => this.#places.get(ref)! <= place && opNamed(op).launch !== 'alias',
    );
    return isLast && !this.#readers.has(value) && this.#results.get(value) === 1;
  }
}

/** Whether an element of a vector is made from that element of its operands, or from a sum. */
function isElementwise({ op }: Node): boolean {
  return op === 'map' || op === 'sum_rows' || isPointwise(op);
}
