// The executor over ONNX Runtime against the one on the device: whole, in segments, in tiles, in parts of the image; its
// progress, its end, its queue.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compile, open, openOrt, type PlanarImage, readWeights } from '../../index.js';
import type { NodeOrt } from '../../runtime/node-ort.js';
import { describeOnDevice } from '../on-device.js';
import { describeWithOrt } from '../on-ort.js';
import { compare, EVERYTHING, picture, randomWeightsOf } from './networks.js';

const GRAPHS = join(import.meta.dirname, '../../graphs');

/** A network with a wide halo, skips across it and an end that is a concat. */
const DEEP = compile(`
generator deep : (3, h, w) -> (3, 2*h, 2*w) {
  first = conv(8)
  residual { dense x2 { conv(4); lrelu(0.2) }; conv(8) } x3
  add(first); concat(first); upsample(2)
  one = conv(1, kernel=5)
  two = conv(2); tanh
  from(one); concat(two)
}`);

/** Records how it is used; calls ask for `macs` multiply-accumulates at most. */
function watched(ort: NodeOrt, macs: number) {
  const log = { opened: 0, closed: 0, calls: 0 };
  const watching: NodeOrt = {
    ...ort,
    macs,
    async open(bytes) {
      const model = await ort.open(bytes);
      log.opened++;
      return {
        run(inputs) {
          log.calls++;
          return model.run(inputs);
        },
        async close() {
          log.closed++;
          await model.close();
        },
      };
    },
  };
  return { ort: watching, log };
}

describeWithOrt('in ONNX Runtime', (ort) => {
  describeOnDevice('as on the device', ({ gpu }) => {
    test.each([
      ['photo', undefined],
      ['photo', 16],
      ['everything', undefined],
      ['everything', 8],
      ['deep', undefined],
      ['deep', 8],
    ])('%s, tiles of %s', async (name, tile) => {
      const text = name === 'photo' ? readFileSync(join(GRAPHS, 'photo.sr'), 'utf8') : EVERYTHING;
      const compiled = name === 'deep' ? DEEP : compile(text);
      const file = join(GRAPHS, 'weights/photo.safetensors');
      const weights =
        name === 'photo' ? await readWeights(file, readFileSync(file)) : randomWeightsOf(compiled);
      const image = picture(37, 22);
      const [onDevice, onCpu] = [
        await open(gpu, compiled, { weights }),
        openOrt(ort, compiled, { weights, ...(tile !== undefined && { tile }) }),
      ];
      const expected = await onDevice.run(image);
      const { data, ...size } = await onCpu.run(image);
      expect(size).toEqual({ width: expected.width, height: expected.height });
      expect(compare(data, expected.data).worst).toBeLessThan(1e-5);
      await Promise.all([onDevice.close(), onCpu.close()]);
    });
  });

  describe('a large image', () => {
    const weights = randomWeightsOf(DEEP);
    const image = picture(150, 90);
    const whole = openOrt(ort, DEEP, { weights }).run(image);
    const expectWhole = async ({ data }: PlanarImage) => {
      expect(compare(data, (await whole).data).worst).toBeLessThan(1e-5);
    };

    test('calls are short', async () => {
      const { ort: watching, log } = watched(ort, 2e6);
      const network = openOrt(watching, DEEP, { weights });
      const fractions: number[] = [];
      await expectWhole(await network.run(image, { onProgress: (fraction) => fractions.push(fraction) }));
      expect(log.calls).toBeGreaterThan(10);
      expect(log.opened).toBeGreaterThan(1);
      expect(fractions).toHaveLength(log.calls);
      expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
      expect(fractions.at(-1)).toBeCloseTo(1, 9);
      await network.close();
      expect(log.closed).toBe(log.opened);
    });

    test('in parts where memory is short', async () => {
      const network = openOrt(ort, DEEP, { weights, memory: 1.6e6 });
      const { parts, segments, memory } = network.schedule(image);
      expect(parts.length).toBeGreaterThan(1);
      expect(segments.length).toBeGreaterThan(1);
      expect(memory.planned + memory.constants).toBeLessThan(1.6e6);
      await expectWhole(await network.run(image));
      await network.close();
    });

    test('models are kept from image to image of a size', async () => {
      const { ort: watching, log } = watched(ort, Infinity);
      const network = openOrt(watching, DEEP, { weights });
      await network.run(image);
      await network.run(image);
      expect(log.opened).toBe(1);
      await network.close();
    });

    test('an end in the middle, and a run after it', async () => {
      const { ort: watching, log } = watched(ort, 2e6);
      const network = openOrt(watching, DEEP, { weights });
      const controller = new AbortController();
      const { signal } = controller;
      const stopped = network.run(image, { onProgress: () => controller.abort(), signal });
      const never = network.run(image, { signal });
      await expect(stopped).rejects.toThrow(/abort/i);
      await expect(never).rejects.toThrow(/abort/i);
      expect(log.calls).toBe(1);
      await expectWhole(await network.run(image));
      await network.close();
    });
  });

  test('what has no tiles runs in one call, however long', async () => {
    const compiled = compile(`generator g : (3, h, w) -> (3, h, w) { conv(4, pad=0); relu; conv(3, pad=2) }`);
    const weights = randomWeightsOf(compiled);
    const image = picture(33, 31);
    const { ort: watching, log } = watched(ort, 1000);
    const network = openOrt(watching, compiled, { weights });
    const expected = await openOrt(ort, compiled, { weights }).run(image);
    expect(await network.run(image)).toEqual(expected);
    expect(log.calls).toBe(1);
    await network.close();
  });

  test('images that the network does not take', async () => {
    const network = openOrt(ort, DEEP, { weights: randomWeightsOf(DEEP) });
    const gray = { width: 4, height: 4, data: new Float32Array(16) };
    await expect(network.run(gray)).rejects.toThrow('the image has 1 channels, deep takes 3');
    await network.close();
  });

  test('weights of another network', () => {
    const weights = randomWeightsOf(compile(EVERYTHING));
    expect(() => openOrt(ort, DEEP, { weights })).toThrow('does not fit the graph');
  });
});
