// The library end to end on a device: text to pixels against the CPU meaning of the graph, and a plan that went through
// JSON against the network it came from.

import { expect, test } from 'vitest';
import { interpret } from '../compiler/interpret.js';
import { randomSource } from '../compiler/random.js';
import { sizeOf, tensor } from '../compiler/tensor.js';
import type { WeightFile } from '../formats/weights.js';
import { compile, open, openPlan, type Plan, planFor, targetFor } from '../index.js';
import { describeOnDevice } from './on-device.js';

const NETWORK = compile(`
generator tiny : (3, h, w) -> (3, 2*h, 2*w) {
  conv(6); prelu
  residual(0.3) { dense x2 { conv(4); lrelu(0.2) }; conv(6, kernel=1); batchnorm }
  half = conv(8, stride=2, kernel=4)
  upsample(2); conv(5); sigmoid
  conv(12); pixelshuffle(2)
  out = tanh
  from(input); upsample(2, mode=bilinear); add(out)
}`);

function randomWeights(): WeightFile {
  const random = randomSource(5);
  const tensors = NETWORK.network.graph.params.map(({ ref, type, trainable }) => {
    const shape = type.shape as number[];
    const data = Float32Array.from({ length: sizeOf(shape) }, () =>
      trainable ? random() - 0.5 : 0.5 + random(),
    );
    return [ref.slice(1), { shape, data, dtype: 'f32' }] as const;
  });
  return { name: 'random', format: 'safetensors', tensors: new Map(tensors), metadata: {} };
}

const [WIDTH, HEIGHT] = [18, 10];

describeOnDevice('on a device', (device) => {
  const weights = randomWeights();
  const random = randomSource(6);
  const image = {
    width: WIDTH,
    height: HEIGHT,
    data: Float32Array.from({ length: 3 * WIDTH * HEIGHT }, random),
  };

  test('text to pixels: what the graph means', async () => {
    const { graph } = NETWORK.network;
    const params = [...weights.tensors].map(
      ([name, { shape, data }]) => [`@${name}`, tensor(shape, data)] as const,
    );
    const x = tensor([1, 3, HEIGHT, WIDTH], image.data);
    const [expected] = interpret(graph, new Map([...params, ['%x', x]]));
    const upscaler = await open(device.gpu, NETWORK, { weights });
    const { data, width, height } = await upscaler.run(image);
    await upscaler.close();
    expect([1, 3, height, width]).toEqual(expected!.shape);
    data.forEach((value, i) => {
      expect(Math.abs(value - expected!.data[i]!)).toBeLessThan(1e-5);
    });
  });

  test('a plan through JSON runs without the compiler, to the same bits', async () => {
    const plan = planFor(NETWORK, targetFor(device.gpu));
    const results = [];
    for (const source of [plan, JSON.parse(JSON.stringify(plan)) as Plan]) {
      const upscaler = await openPlan(device.gpu, source, { weights });
      results.push((await upscaler.run(image)).data);
      await upscaler.close();
    }
    expect(results[0]).toEqual(results[1]);
  });

  test('a plan of another version is refused', async () => {
    const plan = { ...planFor(NETWORK), version: 0 } as unknown as Plan;
    await expect(openPlan(device.gpu, plan, { weights })).rejects.toThrow('this is no plan of version');
    await expect(openPlan(device.gpu, {} as Plan, { weights })).rejects.toThrow('this is no plan of version');
  });
});
