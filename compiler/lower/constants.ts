// Values that depend on constant parameters alone: expressions that are evaluated once, when weights are loaded, with
// the packing that their kernel asks for.

import { internal } from '../../diagnostics.js';
import { isConstantOp } from '../../runtime/constants.js';
import type { ConstantExpr, DType, Packing, PlanConstant } from '../../runtime/plan.js';
import type { Graph, Ref } from '../graph.js';

/** The parameters but those that `residents` names, and everything that depends on them alone. */
export function constantExprs(
  graph: Graph,
  residents: (param: Ref) => boolean = () => false,
): Map<Ref, ConstantExpr> {
  const exprs = new Map<Ref, ConstantExpr>();
  for (const { ref, type } of graph.params) {
    if (!residents(ref)) exprs.set(ref, { param: ref.slice(1), shape: type.shape as number[] });
  }
  for (const { ref, op, inputs, attrs, type } of graph.nodes) {
    const args = inputs.map((input) => exprs.get(input));
    if (!isConstantOp(op) || !args.every((arg) => arg !== undefined)) continue;
    const shape = type.shape as number[];
    if (op === 'constant') exprs.set(ref, { values: attrs.values as readonly number[], shape });
    else exprs.set(ref, { op, attrs: attrs as Record<string, number>, args, shape });
  }
  return exprs;
}

export class ConstantTable {
  readonly list: PlanConstant[] = [];
  /** Parameters that some constant reads. */
  readonly used = new Set<Ref>();
  readonly #precision: DType;
  readonly #exprs: ReadonlyMap<Ref, ConstantExpr>;
  readonly #indices = new Map<string, number>();

  /** `residents` are the parameters that are no constants. */
  constructor(graph: Graph, precision: DType, residents: (param: Ref) => boolean) {
    this.#precision = precision;
    this.#exprs = constantExprs(graph, residents);
  }

  has(ref: Ref): boolean {
    return this.#exprs.has(ref);
  }

  /** Index of `ref` packed as `packing`. */
  index(ref: Ref, packing: Packing): number {
    const key = `${ref} ${JSON.stringify(packing)}`;
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    const value = this.#exprs.get(ref) ?? internal(`${ref} is not a constant`);
    this.#markUsed(value);
    this.#indices.set(key, this.list.length);
    // Scalars are thresholds such as 1e-12, which f16 does not have.
    const dtype = value.shape.length === 0 ? 'f32' : this.#precision;
    return this.list.push({ value, dtype, packing }) - 1;
  }

  #markUsed(value: ConstantExpr): void {
    if ('param' in value) this.used.add(`@${value.param}`);
    if ('args' in value) for (const arg of value.args) this.#markUsed(arg);
  }
}
