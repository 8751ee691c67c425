// Networks as ONNX files in ONNX Runtime against the meaning of their graphs: every generator that ships, at two sizes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { interpret } from '../../compiler/interpret.js';
import { type Tensor, tensor } from '../../compiler/tensor.js';
import type { WeightFile } from '../../formats/weights.js';
import { type Compiled, compile, type PlanarImage, readWeights, toOnnx } from '../../index.js';
import { describeWithOrt } from '../on-ort.js';
import { graphSource } from '../shared.js';
import { compare, EVERYTHING, picture, randomWeightsOf } from './networks.js';

const PHOTO = join(import.meta.dirname, '../../graphs/weights/photo.safetensors');

interface Case {
  readonly file: string;
  readonly set: Readonly<Record<string, number>>;
  readonly weights?: WeightFile;
}

const CASES: readonly Case[] = [
  { file: 'photo.sr', set: {}, weights: await readWeights(PHOTO, readFileSync(PHOTO)) },
  { file: 'compact.sr', set: { features: 8, convs: 2 } },
  { file: 'esrgan.sr', set: { features: 8, growth: 4, blocks: 1 } },
  { file: 'esrgan-anime.sr', set: { features: 8, growth: 4, blocks: 2 } },
  { file: 'msrresnet.sr', set: { features: 8, blocks: 2 } },
  { file: 'srgan.sr', set: { features: 8, blocks: 2 } },
  { file: 'realesrgan-x2.sr', set: { features: 8, growth: 4, blocks: 1 } },
  { file: 'realesrgan-x2.sr', set: { features: 8, growth: 4, blocks: 1, scale: 1 } },
];
/** No multiples of what pixel-unshuffles fold; the last is smaller than that. */
const SIZES = [
  [9, 7],
  [14, 5],
  [1, 2],
] as const;

/** What the graph means, in f64, on the image mirrored to multiples of `align` and cropped again. */
function meaning(
  { network }: Compiled,
  weights: WeightFile,
  image: PlanarImage,
  align: number,
): Float64Array {
  const { width, height } = image;
  const [w, h] = [width, height].map((size) => Math.ceil(size / align) * align) as [number, number];
  const mirror = (i: number, size: number): number =>
    size === 1 ? 0 : i < size ? i : mirror(Math.abs(2 * size - 2 - i), size);
  const padded = Array.from({ length: 3 * h * w }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    return image.data[(c * height + mirror(y, height)) * width + mirror(x, width)]!;
  });
  const values = new Map<string, Tensor>([['%x', tensor([1, 3, h, w], padded)]]);
  for (const { ref, type } of network.graph.params) {
    values.set(ref, tensor(type.shape as number[], weights.tensors.get(ref.slice(1))!.data));
  }
  const [y] = interpret(network.graph, values);
  const [columns, scale] = [y!.shape[3]!, network.scale!];
  return Float64Array.from({ length: 3 * height * width * scale ** 2 }, (_, i) => {
    const [row, x] = [Math.floor(i / (width * scale)), i % (width * scale)];
    const [c, r] = [Math.floor(row / (height * scale)), row % (height * scale)];
    return y!.data[(c * y!.shape[2]! + r) * columns + x]!;
  });
}

describeWithOrt('in ONNX Runtime', (ort) => {
  const expectMeaning = async (compiled: Compiled, weights: WeightFile, align: number) => {
    for (const precision of ['f32', 'f16'] as const) {
      const model = await ort.open(toOnnx(compiled, { weights, precision }));
      for (const [width, height] of SIZES) {
        const image = picture(width, height);
        const { output } = await model.run({ input: { data: image.data, shape: [1, 3, height, width] } });
        const expected = meaning(compiled, weights, image, align);
        expect(output).toHaveLength(expected.length);
        const { worst, psnr } = compare(output!, expected);
        if (precision === 'f32') expect(worst).toBeLessThan(1e-5);
        else expect(psnr).toBeGreaterThan(50);
      }
      await model.close();
    }
  };

  test.each(CASES)('$file $set', async ({ file, set, weights }) => {
    const compiled = compile(graphSource(file), { set });
    const align = file === 'realesrgan-x2.sr' ? 4 / (set.scale ?? 2) : 1;
    await expectMeaning(compiled, weights ?? randomWeightsOf(compiled), align);
  });

  test('every layer there is', async () => {
    const compiled = compile(EVERYTHING);
    await expectMeaning(compiled, randomWeightsOf(compiled), 4);
  });

  test('several images at once', async () => {
    const compiled = compile(EVERYTHING);
    const model = await ort.open(toOnnx(compiled, { weights: randomWeightsOf(compiled) }));
    const run = async (images: readonly PlanarImage[]) => {
      const data = Float32Array.from(images.flatMap((image) => [...image.data]));
      return (await model.run({ input: { data, shape: [images.length, 3, 7, 9] } })).output!;
    };
    const images = [picture(9, 7, 1), picture(9, 7, 2)];
    const each = await Promise.all(images.map((image) => run([image])));
    const { worst } = compare(await run(images), Float32Array.from(each.flatMap((result) => [...result])));
    expect(worst).toBeLessThan(1e-6);
    await model.close();
  });
});

test('weights that 16 bits cannot hold are refused', () => {
  const compiled = compile('generator one : (3, h, w) -> (3, h, w) { conv(3) }');
  const weights = randomWeightsOf(compiled);
  weights.tensors.get('conv.weight')!.data[5] = 1e5;
  expect(() => toOnnx(compiled, { weights, precision: 'f16' })).toThrow(
    'conv.weight holds 100000, more than f16 can',
  );
  expect(toOnnx(compiled, { weights }).length).toBeGreaterThan(300);
});
