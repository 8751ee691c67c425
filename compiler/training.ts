// One training step as one graph: the generator and the objectives of both players inlined, with numbers for sizes, and
// the gradients of every parameter that is trained. The critic sees the same parameters and the same image in both
// objectives: its forwards are shared where they are equal. Text form and interpreter are those of any graph.

import { fail, internal, printLoc } from '../diagnostics.js';
import { isSymbolic } from '../runtime/dims.js';
import { GraphBuilder } from './builder.js';
import { appendGradients } from './differentiate.js';
import type { Graph, Node, Ref, TensorType } from './graph.js';
import { ShapeError } from './ops/op.js';
import { printImage } from './ops/types.js';
import { prepareStep } from './passes/pipeline.js';
import { eliminateDead } from './rewrite.js';
import { verify } from './verify.js';

export interface TrainedNetwork {
  readonly name: string;
  /** In training form, from `%x`. */
  readonly graph: Graph;
}

export interface StepSpec {
  readonly generator: TrainedNetwork;
  /** From `%sr`, `%hr` and perhaps `%usm` to the loss and then its terms. */
  readonly loss: { readonly generator: Graph; readonly discriminator?: Graph };
  /** Whether a trainable parameter of the step is held fixed: perception networks, frozen paths. */
  frozen(name: string): boolean;
  readonly batch: number;
  /** Of the small image. */
  readonly height: number;
  readonly width: number;
  /** Whether gradients are multiplied by the input `%loss_scale`. */
  readonly lossScale: boolean;
}

export type Player = 'generator' | 'discriminator';

export interface StepGraph {
  /** From `%lr`, `%hr`, perhaps `%usm` and `%loss_scale`; returns the losses and then the gradients. */
  readonly graph: Graph;
  /** What the first outputs are: each player's loss, then its terms (`generator.0`). */
  readonly losses: readonly string[];
  /** By parameter, in the order of the outputs. */
  readonly gradients: ReadonlyMap<Ref, Ref>;
}

export function trainingStep(spec: StepSpec): StepGraph {
  const { graph: forward, objectives } = compose(spec);
  const tidy = prepareStep(forward).graph;
  // Results keep their places: losses and terms, player by player.
  const places = objectives.map(({ at }) => tidy.outputs[at]!);
  let graph = tidy;
  const gradients = new Map<Ref, Ref>();
  objectives.forEach(({ player, params }, i) => {
    const seed = spec.lossScale ? '%loss_scale' : undefined;
    const found = appendGradients(graph, places[i]!, params, seed);
    graph = found.graph;
    for (const param of params) {
      gradients.set(param, found.gradients.get(param) ?? untrained(param, player));
    }
  });
  const losses = objectives.map(({ player }) => player);
  const terms = objectives.flatMap(({ player, terms }) => terms.map((_, k) => `${player}.${k}`));
  const first = [...places, ...objectives.flatMap(({ terms }) => terms.map((at) => tidy.outputs[at]!))];
  const complete = eliminateDead({ ...graph, outputs: [...first, ...gradients.values()] });
  const outputs = complete.outputs.slice(first.length);
  return {
    graph: verify(complete, 'differentiation'),
    losses: [...losses, ...terms],
    gradients: new Map([...gradients.keys()].map((param, i) => [param, outputs[i]!])),
  };
}

function untrained(param: Ref, player: Player): never {
  return fail(`${param.slice(1)} is trained, but the ${player}'s loss does not depend on it`, {
    help: 'freeze it, or minimise a loss that sees it',
  });
}

interface Objective {
  readonly player: Player;
  /** Places of the loss and of its terms among the outputs. */
  readonly at: number;
  readonly terms: readonly number[];
  readonly params: readonly Ref[];
}

/** The forward half: every network and both objectives in one graph. */
function compose({ generator, loss, frozen, batch, height, width, lossScale }: StepSpec) {
  const builder = new GraphBuilder(generator.name);
  const trained = (param: Ref) => !frozen(param.slice(1));
  const [x] = generator.graph.inputs;
  const channels = x?.type.shape[1] ?? internal(`${generator.name} has no input`);
  const lr = builder.input('lr', { shape: [batch, channels, height, width] });
  const players = [loss.generator, ...(loss.discriminator ? [loss.discriminator] : [])];

  const inlined = inline(builder, generator.graph, new Map([['%x', lr]]), trained, `${generator.name}.`);
  const sr = inlined.outputs[0]!;
  const image = builder.type(sr);
  const given = new Map<Ref, Ref>([['%sr', sr]]);
  for (const name of ['hr', 'usm']) {
    if (players.some(({ inputs }) => inputs.some(({ ref }) => ref === `%${name}`))) {
      given.set(`%${name}`, builder.input(name, image));
    }
  }
  if (lossScale) builder.input('loss_scale', { shape: [] });

  const outputs: Ref[] = [];
  const objectives = players.map((graph, i): Objective => {
    for (const { type } of graph.inputs) checkSize(type, image, graph);
    const { outputs: results, params } = inline(builder, graph, given, trained, '');
    const at = outputs.length;
    outputs.push(...results);
    return {
      player: i === 0 ? 'generator' : 'discriminator',
      at,
      terms: results.slice(1).map((_, k) => at + 1 + k),
      // The generator learns from its objective alone, the critic from the other.
      params: i === 0 ? inlined.params : params,
    };
  });
  return { graph: builder.finish(outputs), objectives };
}

interface Inlined {
  readonly outputs: readonly Ref[];
  /** Its parameters that are trained. */
  readonly params: readonly Ref[];
}

/**
 * Repeats `graph` in the builder on the values `given` for its inputs, its parameters with `prefix`. State that was
 * updated before is read as it is then.
 */
function inline(
  builder: GraphBuilder,
  graph: Graph,
  given: ReadonlyMap<Ref, Ref>,
  trained: (param: Ref) => boolean,
  prefix: string,
): Inlined {
  const values = new Map(given);
  const params: Ref[] = [];
  for (const { ref, type, init, trainable } of graph.params) {
    const name = `${prefix}${ref.slice(1)}`;
    const learns = trainable && trained(`@${name}`);
    if (!builder.hasParam(name)) builder.param(name, type.shape as number[], init, learns);
    if (learns) params.push(`@${name}`);
    values.set(ref, builder.current(`@${name}`));
  }
  const rename = (ref: Ref) => values.get(ref) ?? internal(`${graph.name}: ${ref} is not defined`);
  for (const node of graph.nodes) values.set(node.ref, repeat(builder, node, node.inputs.map(rename)));
  for (const { param, value } of graph.updates) builder.update(`@${prefix}${param.slice(1)}`, rename(value));
  return { outputs: graph.outputs.map(rename), params };
}

/** What fits images of any size may still not fit this one. */
function repeat(builder: GraphBuilder, { op, attrs, loc }: Node, inputs: readonly Ref[]): Ref {
  try {
    return builder.emit(op, inputs, attrs, loc);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return fail(error.message, {
      notes: loc ? [`at ${printLoc(loc)}, with the patch and batch of the recipe`] : [],
      help: error.help ?? 'use another patch',
    });
  }
}

/** A library's critic is made for one size of patch. */
function checkSize(type: TensorType, image: TensorType, { name }: Graph): void {
  const fits = type.shape.every((dim, i) => isSymbolic(dim) || dim === image.shape[i]);
  if (type.shape.length === 4 && !fits) {
    fail(`${name} is for images of ${printImage(type)}, the generator makes ${printImage(image)}`, {
      help: 'train with patches of that size',
    });
  }
}
