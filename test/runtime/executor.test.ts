import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { open } from '../../runtime/executor.js';
import type { PlanarImage } from '../../runtime/image.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import { toyPlan, toyWeights } from './plans.js';

let device: NodeDevice;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device.close());

export function photo(width: number, height: number, channels = 3): PlanarImage {
  const data = Float32Array.from(
    { length: channels * width * height },
    (_, i) => Math.sin(i * 12.9898) * 0.5 + 0.5,
  );
  return { width, height, data };
}

const plan = toyPlan();
const weights = toyWeights(plan);

describe('untiled', () => {
  test('runs', async () => {
    const network = await open(device.gpu, plan, weights);
    const y = await network.run(photo(7, 5));
    expect([y.width, y.height]).toEqual([14, 10]);
    console.log(y.data.slice(0, 20));
    await network.close();
  });
});
