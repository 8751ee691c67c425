// Small trainings for tests of the backward pass: what networks and losses are made of, and values for all of it.

import type { Graph, Ref } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { sizeOf, type Tensor, tensor } from '../../compiler/tensor.js';
import { type StepGraph, type StepSpec, trainingStep } from '../../compiler/training.js';
import { load } from '../../dsl/index.js';
import { randomSource } from '../random.js';

/** Batch norm, prelu, dense blocks, both ways up; strides, a linear layer; spectral norm. */
export const PROGRAM = `
let scale = 4
generator net(features = 4) : (3, h, w) -> (3, scale*h, scale*w) {
  conv(features); prelu
  residual { conv(features, bias=false); batchnorm; prelu; rrdb(beta=0.2, growth=4) }
  conv(4*features); pixelshuffle(2); lrelu(0.1)
  upsample(2); conv(3)
}
discriminator critic : (3, 16, 16) -> (1, 1, 1) {
  conv(4, kernel=4, stride=2); batchnorm; lrelu(0.2)
  conv(6, stride=2); batchnorm; lrelu(0.2)
  linear(5); lrelu(0.2); linear(1)
}
discriminator pixels : (3, 16, 16) -> (1, 16, 16) { conv(4, spectral=true, bias=false); lrelu(0.2); conv(1, spectral=true) }
perception vgg : (3, h, w) {
  normalize(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
  conv1_1 = conv(4); relu1_1 = relu; pool1 = maxpool(2); conv2_1 = conv(4)
}
`;

/** Objectives by name: every loss of the library that stands alone, and what recipes make of them. */
export const OBJECTIVES = {
  l1: 'l1',
  mse: 'mse',
  charbonnier: 'charbonnier',
  tv: 'tv + mse',
  perceptual: 'perceptual(vgg.conv2_1)',
  gan: '0.5 * mse + gan(critic)',
  lsgan: 'lsgan(critic)',
  hinge: 'hinge(critic)',
  ragan: 'perceptual(vgg.relu1_1, mse) + 0.1 * ragan(critic)',
  detached: 'ragan(critic, detach_mean=true)',
  spectral: 'l1 + gan(pixels)',
} as const;

export type Objective = keyof typeof OBJECTIVES;

export function specOf(objective: string, options: Partial<StepSpec> = {}): StepSpec {
  const text = `${PROGRAM}loss minimized = ${objective}\n`;
  const { networks, losses } = load({ name: 'step.sr', text });
  const loss = losses.find(({ name }) => name === 'minimized')!;
  const { discriminator } = loss;
  return {
    generator: { name: networks[0]!.name, graph: networks[0]!.training },
    loss: { generator: loss.generator, ...(discriminator && { discriminator }) },
    frozen: (name) => name.startsWith('vgg.'),
    batch: 2,
    height: 4,
    width: 4,
    lossScale: false,
    ...options,
  };
}

export function stepOf(objective: Objective, options: Partial<StepSpec> = {}): StepGraph {
  return trainingStep(specOf(OBJECTIVES[objective], options));
}

/** Values for every input and parameter: images in [0, 1], weights that keep the variance, state of a net in training. */
export function valuesOf(graph: Graph, seed = 3): Map<Ref, Tensor> {
  const random = randomSource(seed);
  const values = new Map<Ref, Tensor>();
  for (const { ref, type } of graph.inputs) {
    const shape = type.shape as number[];
    const value = () => (shape.length === 0 ? 8 : random());
    values.set(ref, tensor(shape, Array.from({ length: sizeOf(shape) }, value)));
  }
  for (const { ref, type, init } of graph.params) {
    const shape = type.shape as number[];
    const length = sizeOf(shape);
    const spread = shape.length > 1 ? Math.sqrt(3 / (length / shape[0]!)) : 0.25;
    const centre = init.kind === 'constant' ? init.value : 0;
    values.set(
      ref,
      tensor(
        shape,
        Array.from({ length }, () => centre + spread * (2 * random() - 1)),
      ),
    );
  }
  return values;
}

/** Outputs and then new state. */
export function runAll(graph: Graph, values: ReadonlyMap<Ref, Tensor>): Tensor[] {
  return interpret(
    { ...graph, outputs: [...graph.outputs, ...graph.updates.map(({ value }) => value)] },
    values,
  );
}
