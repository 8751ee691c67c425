// The convolution with workgroup memory against plain loops. Few texts, because software drivers take more than a second
// for each: every way of staging once, everything else with one of them.

import { describe, expect, test } from 'vitest';
import type { TiledTile } from '../../runtime/kernels/conv2d.js';
import { type Conv2dSpec, conv2d } from '../../runtime/kernels/conv2d.js';
import type { PointwiseStep } from '../../runtime/kernels/kernel.js';
import { packVector } from '../../runtime/kernels/pack.js';
import { device, dtypes, launch, type Storage } from '../device.js';
import { build, type Case, check, reference, type Variant, weightsFor } from './convolutions.js';
import { expectKernel, noisy, slab, stepped, view } from './tensors.js';

const tiled = (tile: TiledTile): Variant => ({ variant: 'tiled', tile });

/** Quick to compile: a pixel and a group for each of 64 invocations. */
const SMALL = tiled({ width: 1, height: 1, groups: 1, lanes: [4, 8, 2] });
/** What GPUs run on small images. */
const LARGE = tiled({ width: 4, height: 1, groups: 2, lanes: [2, 8, 4] });

describe.skipIf(!device)('conv2d tiled', () => {
  test.each([
    [1, 1, 1],
    [2, 3, 5],
    [1, 33, 17],
  ] as const)('size %i x %i x %i', async (...size) => {
    await check({ size, channels: [33, 5] }, SMALL);
  });

  test.each([
    // Rows of the kernel in shares; outputs in two workgroups, the second half empty.
    { channels: [3, 33], kernel: [9, 9], pad: 4 },
    // Eight groups of input channels at a time.
    { channels: [32, 3], kernel: [1, 1], pad: 0 },
    { channels: [33, 12], kernel: [4, 4], stride: 2 },
    // Four groups; taps of a row that are not unrolled.
    { channels: [14, 12], kernel: [2, 5], stride: 3, pad: 2 },
  ] as const)('$channels channels, kernel $kernel, stride $stride', async (c: Omit<Case, 'size'>) => {
    await check({ size: [2, 13, 15], ...c }, SMALL);
  });

  test('a pixel has the same bits wherever it lies in the image', async () => {
    const channels = [36, 40] as const;
    const whole = build({ size: [1, 22, 20], channels }, LARGE);
    await expectKernel(whole.call, whole.slots, whole.y, whole.expected);
    const [, y] = await launch(whole.call, whole.slots, {});
    // The same image without its first 3 columns and 2 rows: inner pixels must not change.
    const part = build({ size: [1, 20, 17], channels }, LARGE);
    const [from, to] = [whole.slots[0]!.data, part.slots[0]!.data];
    const stride = to.length / (20 * 17);
    for (let r = 0; r < 20; r++) {
      to.set(from.subarray(((r + 2) * 20 + 3) * stride, (r + 3) * 20 * stride), r * 17 * stride);
    }
    const [, cut] = await launch(part.call, part.slots, {});
    for (let r = 1; r < 19; r++) {
      const row = (data: Float32Array, start: number) =>
        data.subarray(start * 48, (start + 15) * 48).filter((_, k) => k % 48 >= 8);
      expect(row(cut!, r * 17 + 1)).toEqual(row(y!, (r + 2) * 20 + 4));
    }
  });

  test('phases', async () => {
    const phased = { phases: 4, phaseShift: 1, kernel: [2, 2] } as const;
    const packing = { kind: 'vector', length: 4, phases: phased.phases } as const;
    const bias: Storage = { dtype: 'f32', data: packVector(noisy(phased.phases * 3, 5), packing) };
    const epilogue: PointwiseStep[] = [
      { op: 'add', operand: { vector: { slot: 3, dtype: 'f32', phased: true } } },
      { op: 'sigmoid' },
    ];
    await check({ size: [2, 5, 6], channels: [34, 3], ...phased, operands: [bias], epilogue }, SMALL);
  });

  test('a dense block in place, with bias, activation and residual', async () => {
    const dtype = dtypes.at(-1)!;
    const size = [2, 9, 11] as const;
    const slabOptions = { dtype, stride: 64 };
    const x = view(0, size, 36, slabOptions);
    const y = view(0, size, 10, { ...slabOptions, offset: 36 });
    const skip = view(0, size, 10, { ...slabOptions, offset: 48 });
    const bias: Storage = { dtype: 'f32', data: packVector(noisy(10, 9), { kind: 'vector', length: 12 }) };
    const epilogue: PointwiseStep[] = [
      { op: 'add', operand: { vector: { slot: 2, dtype: 'f32' } } },
      { op: 'lrelu', attr: 0.2 },
      { op: 'add', operand: { tensor: skip } },
    ];
    const spec: Conv2dSpec = {
      ...{ x, y, weight: { slot: 1, dtype }, kernel: [3, 3], stride: 1, pad: 1, phases: 1, phaseShift: 0 },
      ...{ epilogue, ...SMALL },
    };
    const { plain, packed } = weightsFor(spec, 4);
    const slots = [slab(x, 7, [x, y, skip]), packed, bias];
    await expectKernel(
      conv2d(spec),
      slots,
      y,
      stepped(epilogue, slots, reference(x, slots[0]!, plain, spec)),
    );
  });
});
