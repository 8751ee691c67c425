// Builds a graph node by node. The op's shape rule runs at each `emit`, so a wrong shape is reported where it
// is written (`ShapeError`), and no graph with a wrong type ever exists.

import type { Loc } from '../diagnostics.js';
import { internal } from '../diagnostics.js';
import type { Attrs, Graph, Init, Input, Node, Param, Ref, TensorType } from './graph.js';
import { makeNode } from './ops/registry.js';

export class GraphBuilder {
  readonly #name: string;
  readonly #inputs: Input[] = [];
  readonly #params: Param[] = [];
  readonly #nodes: Node[] = [];
  readonly #updates = new Map<Ref, Ref>();
  readonly #types = new Map<Ref, TensorType>();

  constructor(name: string) {
    this.#name = name;
  }

  /** Declares an input: `input('x', { shape: [sym('n'), 3, sym('h'), sym('w')] })` is `%x`. */
  input(name: string, type: TensorType): Ref {
    const ref = this.#define(`%${name}`, type);
    this.#inputs.push({ ref, type });
    return ref;
  }

  /** Declares a tensor of the checkpoint: `param('conv.weight', …)` is `@conv.weight`. */
  param(name: string, shape: readonly number[], init: Init, trainable = true): Ref {
    const type = { shape };
    const ref = this.#define(`@${name}`, type);
    this.#params.push({ ref, type, init, trainable });
    return ref;
  }

  /** Appends a node and returns its ref. Throws `ShapeError` when the operands do not fit. */
  emit(op: string, inputs: readonly Ref[], attrs: Attrs = {}, loc?: Loc): Ref {
    const ref = `%${this.#nodes.length}`;
    const node = makeNode({ ref, op, inputs: [...inputs], attrs, ...(loc && { loc }) }, (input) =>
      this.type(input),
    );
    this.#nodes.push(node);
    return this.#define(ref, node.type);
  }

  type(ref: Ref): TensorType {
    return this.#types.get(ref) ?? internal(`${ref} is not defined in graph ${this.#name}`);
  }

  hasParam(name: string): boolean {
    return this.#types.has(`@${name}`);
  }

  /** `param` is to become `value`; until then `current(param)` is that value. */
  update(param: Ref, value: Ref): void {
    this.#updates.set(param, value);
  }

  /** What a parameter's updates so far make of it. */
  current(param: Ref): Ref {
    return this.#updates.get(param) ?? param;
  }

  finish(outputs: readonly Ref[]): Graph {
    for (const ref of outputs) this.type(ref);
    const updates = [...this.#updates].map(([param, value]) => ({ param, value }));
    return {
      name: this.#name,
      inputs: this.#inputs,
      params: this.#params,
      nodes: this.#nodes,
      outputs,
      updates,
    };
  }

  #define(ref: Ref, type: TensorType): Ref {
    if (this.#types.has(ref)) internal(`${ref} is defined twice in graph ${this.#name}`);
    this.#types.set(ref, type);
    return ref;
  }
}
