// An ONNX model under construction: nodes of the graph one after another, each said by its op's record, and the tensors
// they need. What depends on parameters alone is evaluated here, as the runtime does when it loads weights.

import { fail, internal, printLoc } from '../../diagnostics.js';
import { F16_OVERFLOW } from '../../formats/half.js';
import type { OnnxNode, OnnxTensor } from '../../formats/onnx.js';
import { evaluateConstant, type Weights } from '../../runtime/constants.js';
import type { ConstantExpr, DType } from '../../runtime/plan.js';
import { type Graph, type Node, type Ref, type TensorType, typesOf } from '../graph.js';
import { constantExprs } from '../lower/constants.js';
import type { OnnxContext } from '../ops/onnx.js';
import { opNamed } from '../ops/registry.js';

/** A graph from `optimizeForExchange` with the values of its parameters. */
export interface Source {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly constants: ReadonlyMap<Ref, ConstantExpr>;
  readonly types: ReadonlyMap<Ref, TensorType>;
}

export function sourceOf(graph: Graph, weights: Weights): Source {
  return { graph, weights, constants: constantExprs(graph), types: typesOf(graph) };
}

export class OnnxBuilder {
  nodes: OnnxNode[] = [];
  readonly tensors: OnnxTensor[] = [];
  readonly #source: Source;
  /** Of activations and weights. */
  readonly #precision: DType;
  /** The names of values, and of tensors by what they hold. */
  readonly #names = new Map<string, string>();

  constructor(source: Source, precision: DType) {
    this.#source = source;
    this.#precision = precision;
  }

  /** Says that a value of the graph goes by this name from now on. */
  define(ref: Ref, name: string): void {
    this.#names.set(ref, name);
  }

  /** Gives a value the name by which the model is asked for it. */
  rename(ref: Ref, to: string): void {
    const from = this.nameOf(ref);
    const named = (name: string) => (name === from ? to : name);
    this.nodes = this.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(named),
      output: named(node.output),
    }));
    this.define(ref, to);
  }

  /** The name of a value that was defined or added. */
  nameOf(ref: Ref): string {
    return this.#names.get(ref) ?? internal(`${ref} has no value in the ONNX model`);
  }

  /** Constants are added where they are used. */
  add(node: Node): void {
    if (this.#source.constants.has(node.ref)) return;
    const form = opNamed(node.op).onnx;
    if (form === 'none') {
      fail(`${node.loc ? `${printLoc(node.loc)}: ` : ''}${node.op} cannot be said in ONNX`, {
        help: 'run this network with src, or write it without this layer',
      });
    }
    this.define(node.ref, form(this.#context(node)));
  }

  /** Appends a node; gives the name of its result. */
  emit(op: string, inputs: readonly string[], attrs: OnnxNode['attrs'] = {}): string {
    const output = `${op.toLowerCase()}_${this.nodes.length}`;
    this.nodes.push({ op, inputs, output, attrs });
    return output;
  }

  integers(values: readonly number[]): string {
    return this.#literal('i64', values, [values.length]);
  }

  /** One value without a shape. */
  integer(value: number): string {
    return this.#literal('i64', [value], []);
  }

  #context(node: Node): OnnxContext {
    const { constants, types } = this.#source;
    const refOf = (i: number) => node.inputs[i] ?? internal(`${node.op} has no operand ${i}`);
    const typeOf = (ref: Ref) => types.get(ref) ?? internal(`${ref} has no type`);
    return {
      node,
      types: node.inputs.map(typeOf),
      value: (i) => (constants.has(refOf(i)) ? this.#constant(refOf(i), []) : this.nameOf(refOf(i))),
      spread: (i) => {
        if (!constants.has(refOf(i))) return this.nameOf(refOf(i));
        return this.#constant(refOf(i), typeOf(refOf(i)).shape.length === 1 ? [1, 1] : []);
      },
      emit: (op, inputs, attrs) => this.emit(op, inputs, attrs),
      scalar: (value) => this.#literal(this.#precision, [value], []),
      floats: (values) => this.#literal('f32', values, [values.length]),
      integers: (values) => this.integers(values),
    };
  }

  /** A value that is known now, with `further` dimensions after its own; parameters keep their names. */
  #constant(ref: Ref, further: readonly number[]): string {
    const expr = this.#source.constants.get(ref) ?? internal(`${ref} is no constant`);
    return this.#tensor(`${ref} ${further}`, () => {
      const name = 'param' in expr ? expr.param : `folded_${ref.slice(1)}`;
      const data = evaluateConstant(expr, this.#source.weights);
      return { name, shape: [...expr.shape, ...further], type: this.#precision, data };
    });
  }

  #literal(type: OnnxTensor['type'], values: readonly number[], shape: readonly number[]): string {
    return this.#tensor(`${type} ${shape} ${values}`, () => {
      const name = `constant_${this.tensors.length}`;
      return type === 'i64'
        ? { name, shape, type, data: values }
        : { name, shape, type, data: Float32Array.from(values) };
    });
  }

  /** Tensors are made once; two of one name differ in shape. */
  #tensor(key: string, make: () => OnnxTensor): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const tensor = make();
    const isTaken = this.tensors.some(({ name }) => name === tensor.name);
    const name = isTaken ? `${tensor.name}.${this.tensors.length}` : tensor.name;
    if (tensor.type === 'f16') checkHalves(name, tensor.data);
    this.tensors.push({ ...tensor, name });
    this.#names.set(key, name);
    return name;
  }
}

function checkHalves(name: string, data: Float32Array): void {
  const large = data.find((value) => Math.abs(value) >= F16_OVERFLOW);
  if (large === undefined) return;
  fail(`${name} holds ${large}, more than f16 can`, { help: 'leave out --precision f16' });
}
