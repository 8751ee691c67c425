// A net in the ops of TensorFlow.js: channels last, weights as height, width, inputs, outputs.

import * as tf from '@tensorflow/tfjs';
import type { Attrs } from '../../compiler/graph.js';
import { num } from '../../compiler/ops/op.js';
import type { WeightTensor } from '../../formats/weights.js';
import type { Layer, Net } from '../net.js';

type Weights = ReadonlyMap<string, WeightTensor>;

export function constants({ params }: Net, file: Weights): Map<string, tf.Tensor> {
  return new Map(
    params.map(({ ref, name, shape }) => {
      const stored = tf.tensor(file.get(name)!.data, shape);
      return [ref, shape.length === 4 ? tf.transpose(stored, [2, 3, 1, 0]) : stored];
    }),
  );
}

export function variables(net: Net, file: Weights): Map<string, tf.Variable> {
  return new Map([...constants(net, file)].map(([ref, value]) => [ref, tf.variable(value, true, ref)]));
}

/** The net with activations inside of its convolutions: faster, but this library has no gradient of that. */
export function fused(net: Net): Net {
  const uses = net.layers.flatMap(({ inputs }) => inputs);
  const merged = new Set<string>();
  const layers = net.layers.flatMap((layer): Layer[] => {
    if (merged.has(layer.ref)) return [];
    const [reader, ...others] = net.layers.filter(({ inputs }) => inputs[0] === layer.ref);
    const isAlone = uses.filter((ref) => ref === layer.ref).length === 1 && others.length === 0;
    const activation = reader && ACTIVATIONS[reader.op];
    if (layer.op !== 'conv' || !isAlone || !activation) return [layer];
    merged.add(reader.ref);
    const inputs = [...layer.inputs, ...reader.inputs.slice(1)];
    return [{ ...layer, ref: reader.ref, inputs, attrs: { ...layer.attrs, ...reader.attrs, activation } }];
  });
  return { ...net, layers };
}

const ACTIVATIONS: Readonly<Record<string, string>> = { lrelu: 'leakyrelu', prelu: 'prelu' };

/** `given`: inputs and parameters. */
export function evaluate(net: Net, given: ReadonlyMap<string, tf.Tensor>): tf.Tensor[] {
  const values = new Map(given);
  for (const { ref, op, inputs, attrs } of net.layers) {
    const operation = OPS[op];
    if (!operation) throw new Error(`it knows no ${op} here`);
    const operands = inputs.map((input) => values.get(input)!);
    values.set(ref, operation(operands, attrs));
  }
  return net.outputs.map((ref) => values.get(ref)!);
}

type Operation = (inputs: readonly tf.Tensor[], attrs: Attrs) => tf.Tensor;

const OPS: Readonly<Record<string, Operation>> = {
  conv([x, filter, bias, slopes], attrs) {
    const [strides, pad] = [num(attrs, 'stride'), num(attrs, 'pad')];
    if (!bias) return tf.conv2d(x!, filter!, strides, pad);
    return tf.fused.conv2d({
      x: x!,
      filter: filter!,
      strides,
      pad,
      bias,
      ...(attrs.activation === 'leakyrelu' && {
        activation: 'leakyrelu',
        leakyreluAlpha: num(attrs, 'slope'),
      }),
      ...(slopes && { activation: 'prelu', preluActivationWeights: slopes }),
    });
  },
  lrelu: ([x], attrs) => tf.leakyRelu(x!, num(attrs, 'slope')),
  prelu: ([x, slopes]) => tf.prelu(x!, slopes!),
  add: ([a, b]) => tf.add(a!, b!),
  sub: ([a, b]) => tf.sub(a!, b!),
  scale: ([x], attrs) => tf.mul(x!, num(attrs, 'by')),
  concat: (inputs) => tf.concat(inputs, 3),
  abs: ([x]) => tf.abs(x!),
  reduce_mean: ([x]) => tf.mean(x!),
  upsample_nearest([x], attrs) {
    const factor = num(attrs, 'factor');
    const [, height, width] = x!.shape;
    return tf.image.resizeNearestNeighbor(x!, [height! * factor, width! * factor]);
  },
  /** Channel c*r*r + i*r + j goes to pixel (r*y + i, r*x + j); `depthToSpace` has another order, and no gradient. */
  pixel_shuffle([x], attrs) {
    const r = num(attrs, 'factor');
    const [n, h, w, c] = x!.shape as [number, number, number, number];
    const split = tf.reshape(x!, [n, h, w, c / (r * r), r, r]);
    return tf.reshape(tf.transpose(split, [0, 1, 4, 2, 5, 3]), [n, h * r, w * r, c / (r * r)]);
  },
};
