// The convolution in its variants without workgroup memory against plain loops: awkward sizes, strides, kernels, phases,
// dense slabs in place.

import { describe, expect, test } from 'vitest';
import { type Conv2dSpec, conv2d } from '../../runtime/kernels/conv2d.js';
import type { KernelCall, PointwiseStep } from '../../runtime/kernels/kernel.js';
import { packVector } from '../../runtime/kernels/pack.js';
import { device, dtypes, launch, type Storage, subgroupSize } from '../device.js';
import { build, check, reference, type Variant, weightsFor } from './convolutions.js';
import { expectKernel, noisy, slab, stepped, view } from './tensors.js';

// Small tiles, because software drivers take seconds to compile large ones; two tests have those.
const variants: Variant[] = [
  { variant: 'direct', tile: { width: 1, height: 1, groups: 1 } },
  ...(device?.features.has('subgroups') && subgroupSize
    ? [{ variant: 'subgroup' as const, subgroupSize, tile: { width: 3, height: 2, groups: 1 } }]
    : []),
];

describe.skipIf(!device).each(variants)('conv2d $variant', (variant) => {
  test.each([
    [1, 1, 1],
    [1, 1, 7],
    [2, 3, 5],
    [1, 33, 17],
  ] as const)('size %i x %i x %i', async (...size) => {
    for (const dtype of dtypes) await check({ size, channels: [33, 5], dtype }, variant);
  });

  // With 9x9 kernels: drivers unroll small loops whole and then compile for seconds.
  test.each([
    [1, 3],
    [3, 32],
    [5, 33],
    [32, 1],
    [33, 5],
  ])('%i to %i channels', async (...channels) => {
    await check({ size: [2, 5, 9], channels, kernel: [9, 9], pad: 4 }, variant);
  });

  test('large tiles', async () => {
    const { tile: _, ...defaults } = variant;
    await check({ size: [1, 19, 37], channels: [36, 16] }, defaults);
    await check(
      { size: [1, 11, 9], channels: [36, 8], stride: 2 },
      { ...variant, tile: { width: 3, height: 1, groups: 1 } },
    );
  });

  test.each([
    [1, 1, 1, 0],
    [2, 2, 1, 0],
    [4, 4, 2, 1],
    [3, 3, 2, 1],
    [3, 3, 3, 1],
    [1, 1, 4, 0],
    [9, 9, 1, 4],
    [2, 6, 1, 2],
    [12, 12, 1, 6],
    [4, 6, 4, 2],
  ])('kernel %i x %i, stride %i, pad %i', async (kh, kw, stride, pad) => {
    await check({ size: [1, 13, 15], channels: [33, 12], kernel: [kh, kw], stride, pad }, variant);
  });

  test.each([
    { phases: 4, phaseShift: 0, kernel: [3, 3] },
    { phases: 9, phaseShift: 0, kernel: [3, 3] },
    { phases: 16, phaseShift: 0, kernel: [3, 3] },
    { phases: 4, phaseShift: 1, kernel: [2, 2] },
  ] as const)('$phases phases, shift $phaseShift', async (phased) => {
    const outputs = phased.phases === 9 ? 8 : 3;
    const packing = { kind: 'vector', length: outputs === 3 ? 4 : 8, phases: phased.phases } as const;
    const bias: Storage = { dtype: 'f32', data: packVector(noisy(phased.phases * outputs, 5), packing) };
    const epilogue: PointwiseStep[] = [
      { op: 'add', operand: { vector: { slot: 3, dtype: 'f32', phased: true } } },
      { op: 'sigmoid' },
    ];
    await check({ size: [2, 5, 6], channels: [34, outputs], ...phased, operands: [bias], epilogue }, variant);
  });

  test.each(dtypes)('a dense block in place, with bias, activation and residual (%s)', async (dtype) => {
    const size = [2, 9, 11] as const;
    const slabOptions = { dtype, stride: 64 };
    const x = view(0, size, 36, slabOptions);
    const y = view(0, size, 10, { ...slabOptions, offset: 36 });
    const skip = view(0, size, 10, { ...slabOptions, offset: 48 });
    // What training learns is f32, whatever the activations.
    const bias: Storage = { dtype: 'f32', data: packVector(noisy(10, 9), { kind: 'vector', length: 12 }) };
    const epilogue: PointwiseStep[] = [
      { op: 'mul', operand: { scalar: { slot: 3, dtype: 'f32' } } },
      { op: 'add', operand: { vector: { slot: 2, dtype: 'f32' } } },
      { op: 'lrelu', attr: 0.2 },
      { op: 'scale', attr: 0.2 },
      { op: 'sub', operand: { tensor: skip }, swapped: true },
    ];
    const weight = { slot: 1, dtype: 'f32' } as const;
    const spec: Conv2dSpec = {
      ...{ x, y, weight, kernel: [3, 3], stride: 1, pad: 1, phases: 1, phaseShift: 0, epilogue },
      ...variant,
    };
    const { plain, packed } = weightsFor(spec, 4);
    const slots = [slab(x, 7, [x, y, skip]), packed, bias, slab(view(3, [1, 1, 1], 1), 8)];
    const call = conv2d(spec);
    expect(call.bindings).toEqual(['read_write', 'read', 'read', 'read']);
    await expectKernel(call, slots, y, stepped(epilogue, slots, reference(x, slots[0]!, plain, spec)));
  });

  // Tiles that the sizes choose: of several images, of one lane's pixels in a row that share taps.
  test.each([
    { size: [3, 2, 2], channels: [7, 12] },
    { size: [9, 1, 1], channels: [5, 3], kernel: [1, 1], pad: 0 },
    { size: [3, 4, 4], channels: [8, 5], kernel: [4, 4], pad: 0 },
    { size: [2, 1, 1], channels: [6, 20], kernel: [4, 4], pad: 3 },
    { size: [1, 5, 19], channels: [6, 3], kernel: [9, 9], pad: 4 },
  ] as const)('$size, $channels, in tiles of its own choice', async (c) => {
    const { tile: _, ...defaults } = variant;
    await check(c, variant.variant === 'direct' ? variant : defaults);
  });

  test('a pixel has the same bits wherever it lies in the image', async () => {
    const channels = [36, 16] as const;
    const { tile: _, ...defaults } = variant;
    const whole = build({ size: [1, 12, 20], channels }, defaults);
    const [, y] = await launch(whole.call, whole.slots, {});
    // The same image without its first 3 columns and 2 rows: inner pixels must not change.
    const part = build({ size: [1, 10, 17], channels }, defaults);
    const [from, to] = [whole.slots[0]!.data, part.slots[0]!.data];
    const stride = to.length / 170;
    for (let r = 0; r < 10; r++) {
      to.set(from.subarray(((r + 2) * 20 + 3) * stride, (r + 3) * 20 * stride), r * 17 * stride);
    }
    const [cut] = (await launch(part.call, part.slots, {})).slice(1);
    for (let r = 1; r < 10; r++) {
      const row = (data: Float32Array, start: number, count: number) =>
        Array.from({ length: count * 16 }, (_, k) => data[(start + Math.floor(k / 16)) * 48 + 8 + (k % 16)]);
      expect(row(cut!, r * 17 + 1, 16)).toEqual(row(y!, (r + 2) * 20 + 4, 16));
    }
  });

  test('workgroup counts stay within limits for the largest images', () => {
    const dims = [1, 16384, 16384] as const;
    const call: KernelCall = conv2d({
      ...{ x: view(0, dims, 64), y: view(1, dims, 64), weight: { slot: 2, dtype: 'f32' }, kernel: [3, 3] },
      ...{ stride: 1, pad: 1, phases: 1, phaseShift: 0, epilogue: [] },
      ...variant,
    });
    for (const axis of call.workgroups) {
      expect(axis.reduce((a, { dim, per }) => a * Math.ceil(Number(dim) / per), 1)).toBeLessThanOrEqual(
        65535,
      );
    }
  });
});
