// Networks: a signature, a body, and parameters with values. One is lowered alone for inference, and again inside every
// loss that applies it, with its parameters under its own name.

import { GraphBuilder } from '../compiler/builder.js';
import type { Graph, Ref } from '../compiler/graph.js';
import { printImage, sameShape } from '../compiler/ops/types.js';
import { fail, type Source, type Span } from '../diagnostics.js';
import { isSymbolic } from '../runtime/dims.js';
import { Application } from './application.js';
import type { Body, Expr, NetworkItem, Signature } from './ast.js';
import { bind, declaredBy } from './binding.js';
import { loweringInto } from './body.js';
import { find, type Module, type Overrides } from './module.js';
import { imageType, printShape, type Shape, scaleOf, shapesOf } from './signature.js';
import { didYouMean } from './suggest.js';
import { type Env, evaluate, provenance, type TensorValue, type Value } from './values.js';

/** A network ready to be applied to images. */
export interface NetworkDef {
  readonly role: NetworkItem['role'];
  readonly name: string;
  /** The name in the user's file. */
  readonly span: Span;
  readonly body: Body;
  readonly module: Module;
  readonly env: Env;
  readonly input: Shape;
  readonly output?: Shape;
  readonly signature: Signature;
  /** Where the user asked for a library network: its inner errors are told there. */
  readonly call?: Span;
  /** The file of a perception network's weights, as written; without one it is looked for where such files are. */
  readonly weights?: string;
}

/** A network as the layers above use it: its inference graph from `%x`. */
export interface Network {
  readonly role: NetworkItem['role'];
  readonly name: string;
  readonly graph: Graph;
  /** The same with batch statistics and power iterations, and the updates of their state: what is trained (see Site). */
  readonly training: Graph;
  readonly input: Shape;
  readonly output: Shape;
  /** Of a generator: output size over input size. */
  readonly scale?: number;
  /** The values its top-level statements name. */
  readonly taps: Readonly<Record<string, Ref>>;
  readonly weights?: string;
}

export interface NetworkOptions {
  /** Values for the parameters of a generator. */
  readonly set: Overrides;
  /** The size of the recipe's patches: the input of library discriminators. */
  readonly patch?: number | undefined;
}

/** A network item with its parameters and shapes; `= vgg128(…)` takes the body from the library. */
export function instantiate(item: NetworkItem, module: Module, { set, patch }: NetworkOptions): NetworkDef {
  const { role, name, body, value } = item;
  const env = paramsOf(item, module, (param) => (role === 'generator' ? set.get(param) : undefined));
  const base = { role, name: name.text, span: name.span };
  if (value) return { ...base, ...libraryBody(item, value, env, module, patch) };
  const signature =
    item.signature ??
    fail(`${role} \`${name.text}\` has no signature`, {
      span: name.span,
      help: `write \`${name.text} : (3, h, w) -> …\``,
    });
  return { ...base, body: body!, module, env, signature, ...shapesOf(signature, env) };
}

function libraryBody(item: NetworkItem, value: Expr, own: Env, module: Module, patch: number | undefined) {
  const { module: library, item: model } = libraryNetwork(item.role, value, module);
  const args = value.kind === 'call' ? value.args : [];
  const bound = bind(model.name.text, declaredBy(model.params), args, value.span);
  const env = paramsOf(model, library, (param) => {
    const arg = bound.get(param);
    return arg && evaluate(arg, own);
  });
  const signature = item.signature ?? model.signature!;
  const shapes = shapesOf(signature, item.signature ? own : env);
  const [channels, height] = shapes.input;
  const input: Shape = patch === undefined || isSymbolic(height) ? shapes.input : [channels, patch, patch];
  const weights = env.get('weights');
  return {
    body: model.body!,
    module: library,
    env,
    signature,
    ...shapes,
    input,
    call: value.span,
    ...(typeof weights === 'string' && weights !== '' && { weights }),
  };
}

/** The parameters over the module's `let`s; `given` wins over defaults. */
function paramsOf(item: NetworkItem, module: Module, given: (param: string) => Value | undefined): Env {
  const env = new Map(module.lets);
  for (const param of item.params) {
    const name = param.name.text;
    const value =
      given(name) ??
      (param.default
        ? evaluate(param.default, env)
        : fail(`\`${name}\` has no value`, { span: param.span, help: 'give it a default' }));
    env.set(name, value);
  }
  return env;
}

function libraryNetwork(role: NetworkItem['role'], value: Expr, module: Module) {
  const callee = value.kind === 'call' ? value.callee : value;
  const name = callee.kind === 'ref' ? callee.name : '';
  const found = module.library && find(module.library, 'networks', name);
  if (found?.item.role === role) return found;
  const known = [...(module.library?.networks.values() ?? [])]
    .filter((n) => n.role === role)
    .map((n) => n.name.text);
  const near = didYouMean(name, known);
  return fail(`the library has no ${role} ${name ? `\`${name}\`` : 'like this'}`, {
    span: callee.span,
    help: near
      ? `did you mean \`${near}\`?`
      : known.length
        ? `it has ${known.join(', ')}`
        : 'write its body in braces',
  });
}

/** The network alone, from `%x`, checked against its signature. */
export function lowerNetwork(def: NetworkDef, source: Source): Network {
  const { graph, value, taps } = lowerAlone(def, source, false);
  if (def.role === 'discriminator') checkStrides(def, graph);
  if (def.role === 'generator' && value.ref === X) {
    fail(`\`${def.name}\` gives its input unchanged`, { span: def.span, help: 'write a layer in its body' });
  }
  const output = resultShape(def, value, source);
  return {
    role: def.role,
    name: def.name,
    graph,
    // Perception networks are never trained; without state both forms are one.
    training:
      def.role === 'perception' || graph.params.every((param) => param.trainable)
        ? graph
        : lowerAlone(def, source, true).graph,
    input: def.input,
    output,
    ...(def.role === 'generator' && { scale: scaleOf(def.input, output, def.signature.span) }),
    taps,
    ...(def.weights !== undefined && { weights: def.weights }),
  };
}

/** What `lowerAlone` calls the input. */
const X = '%x';

function lowerAlone(def: NetworkDef, source: Source, training: boolean) {
  const builder = new GraphBuilder(def.name);
  const type = imageType(def.input);
  const x = { ref: builder.input('x', type), type, origin: { inputOf: def.name } };
  const application = new Application(def, x, { prefix: '', training });
  const value = application.result(loweringInto(builder, source));
  return { graph: builder.finish([value.ref]), value, taps: application.taps() };
}

function resultShape(def: NetworkDef, value: TensorValue, source: Source): Shape {
  const [, channels, height, width] = value.type.shape;
  if (typeof channels !== 'number' || height === undefined || width === undefined) {
    return fail(`\`${def.name}\` does not give an image`, { span: def.span });
  }
  if (def.output && !sameShape(value.type.shape, imageType(def.output).shape)) {
    fail(`\`${def.name}\` does not give what its signature says`, {
      span: def.call ?? def.signature.span,
      label: `${printShape(def.output)} is promised`,
      notes: [`the body gives ${printImage(value.type)}, from ${provenance(value, source)}`],
    });
  }
  return [channels, height, width];
}

/** A discriminator must see every pixel of its patch: strides that do not divide it would drop a border. */
function checkStrides(def: NetworkDef, graph: Graph): void {
  const shrink = new Map<Ref, number>();
  const extents = new Map(graph.inputs.map(({ ref, type }) => [ref, type.shape]));
  let drops = false;
  for (const { ref, inputs, attrs, type } of graph.nodes) {
    const stride = typeof attrs.stride === 'number' ? attrs.stride : 1;
    const sizes = extents.get(inputs[0] ?? '')?.slice(2) ?? [];
    drops ||= sizes.some((size) => typeof size === 'number' && size > 1 && size % stride !== 0);
    shrink.set(ref, stride * Math.max(1, ...inputs.map((input) => shrink.get(input) ?? 1)));
    extents.set(ref, type.shape);
  }
  const total = Math.max(1, ...shrink.values());
  const size = def.input.slice(1).find((extent) => typeof extent === 'number' && extent % total !== 0);
  if (!drops || typeof size !== 'number') return;
  const below = Math.floor(size / total) * total;
  fail(`the strides of \`${def.name}\` do not divide the patch`, {
    span: def.span,
    label: `its strides divide by ${total}`,
    notes: [`the patch is ${size} pixels wide`],
    help: `use a patch of ${below > 0 ? `${below} or ` : ''}${below + total}`,
  });
}
