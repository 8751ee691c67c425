// Where every value lies on the device: a buffer of its own, a channel range of a larger one, or the place of a tensor
// that outlives the run.

import { internal } from '../../diagnostics.js';
import type { DType, Operand, PlanBuffer, Residence } from '../../runtime/plan.js';
import { type Graph, type Ref, typesOf, type Update } from '../graph.js';
import { geometryOf, type Layout, layoutsOf } from '../layout.js';
import { isPointwise } from '../ops/pointwise.js';
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
  /** The buffer of each resident's value and gradient. */
  readonly #places = new Map<string, Operand>();
  readonly #layouts: ReadonlyMap<Ref, Layout>;

  constructor(
    graph: Graph,
    { homes, aliases }: Placement,
    constants: ConstantTable,
    precision: DType,
    { residents, gradients }: Persistence,
  ) {
    this.#layouts = layoutsOf(graph);
    const types = typesOf(graph);
    const geometry = (ref: Ref) => geometryOf(types.get(ref)!, this.#layouts.get(ref)!);
    const allocate = (ref: Ref, dtype: DType, resident?: Residence): Operand => {
      const { dims, stride, channels } = geometry(ref);
      const buffer = this.list.length;
      this.list.push({ name: ref.slice(1), dims, stride, dtype, ...(resident && { resident }) });
      return { buffer, offset: 0, channels };
    };

    for (const [param, resident] of residents) {
      this.#operands.set(param, allocate(param, 'f32', { resident, of: 'value' }));
    }
    const moved = (ref: Ref) => constants.has(ref) || homes.has(ref) || aliases.has(ref);
    for (const [param, gradient] of gradients) {
      const place = allocate(param, 'f32', { resident: residents.get(param)!, of: 'gradient' });
      this.#places.set(param, place);
      if (!moved(gradient) && isGradientAlone(graph, gradient)) this.#operands.set(gradient, place);
    }
    for (const update of graph.updates) {
      if (!moved(update.value) && isUpdatedInPlace(graph, update, residents)) {
        this.#operands.set(update.value, this.operand(update.param));
      }
    }

    const ports = new Set<Ref>([...graph.inputs.map((input) => input.ref), ...graph.outputs]);
    const fromImages = dependents(graph);
    const values = [...graph.inputs, ...graph.nodes].filter(({ ref }) => !constants.has(ref));
    for (const { ref, ...value } of values) {
      if (homes.has(ref) || aliases.has(ref) || this.#operands.has(ref)) continue;
      // What is computed from parameters alone, and every sum, is small and wants precision.
      const isImage = this.#layouts.get(ref) === 'image' && fromImages.has(ref) && !ports.has(ref);
      const isSum = 'op' in value && value.op === 'sum_columns';
      this.#operands.set(ref, allocate(ref, isImage && !isSum ? precision : 'f32'));
    }
    for (const { ref } of values) {
      const home = homes.get(ref);
      if (!home) continue;
      const { buffer } = this.operand(home.slab);
      this.#operands.set(ref, { buffer, offset: home.offset, channels: geometry(ref).channels });
    }
    for (const { ref } of values) {
      const alias = aliases.get(ref);
      if (!alias) continue;
      const { buffer, offset } = this.operand(alias.of);
      this.#operands.set(ref, { buffer, offset: offset + alias.offset, channels: geometry(ref).channels });
    }
  }

  operand(ref: Ref): Operand {
    return this.#operands.get(ref) ?? internal(`${ref} has no buffer`);
  }

  /** Where the gradient of a parameter must end up. */
  gradientOf(param: Ref): Operand {
    return this.#places.get(param) ?? internal(`${param} is not trained`);
  }

  layout(ref: Ref): Layout {
    return this.#layouts.get(ref) ?? internal(`${ref} has no layout`);
  }
}

/** Whether a gradient can be written where it is wanted: no dispatch reads it that writes another of these places. */
function isGradientAlone({ nodes, outputs }: Graph, gradient: Ref): boolean {
  const [place, again] = outputs.filter((ref) => ref === gradient);
  const readers = nodes.filter(({ inputs }) => inputs.includes(gradient));
  const made = nodes.some(({ ref }) => ref === gradient);
  return (
    made && place !== undefined && again === undefined && readers.every(({ ref }) => !outputs.includes(ref))
  );
}

/** Whether state becomes its new value element by element, when nothing needs the old one any more. */
function isUpdatedInPlace(
  { nodes, outputs, updates }: Graph,
  { param, value }: Update,
  residents: ReadonlyMap<Ref, number>,
): boolean {
  const at = nodes.findIndex(({ ref }) => ref === value);
  const node = nodes[at];
  if (!node || (node.op !== 'map' && !isPointwise(node.op)) || !node.inputs.includes(param)) return false;
  const others = node.inputs.filter((ref) => ref !== param && residents.has(ref));
  const later = nodes.slice(at + 1).some(({ inputs }) => inputs.includes(param) || inputs.includes(value));
  const results = [...outputs, ...updates.map((update) => update.value)].filter((ref) => ref === value);
  return others.length === 0 && !later && results.length === 1;
}

/** What the inputs of the graph have an influence on. */
function dependents(graph: Graph): Set<Ref> {
  const set = new Set(graph.inputs.map(({ ref }) => ref));
  for (const { ref, inputs } of graph.nodes) if (inputs.some((input) => set.has(input))) set.add(ref);
  return set;
}
