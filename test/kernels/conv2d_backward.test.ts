// The gradients of the convolution against plain loops over its definition.

import { describe, expect, test } from 'vitest';
import { convPacking } from '../../runtime/kernels/conv2d.js';
import { dgrad, WGRAD_PARTS, wgrad, wgradSum } from '../../runtime/kernels/conv2d_backward.js';
import { packConv } from '../../runtime/kernels/pack.js';
import { device, launch, type Storage } from '../device.js';
import { expectKernel, field, noisy, slab, view } from './tensors.js';

interface Case {
  readonly size: readonly [n: number, h: number, w: number];
  readonly channels: readonly [inputs: number, outputs: number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: number;
}

// 68 channels, so that drivers do not unroll the loops of dgrad whole and compile for half a minute.
const CASES: readonly Case[] = [
  { size: [1, 1, 1], channels: [1, 3], kernel: [3, 3], stride: 1, pad: 1 },
  { size: [2, 5, 7], channels: [5, 68], kernel: [3, 3], stride: 1, pad: 1 },
  { size: [2, 8, 9], channels: [3, 68], kernel: [4, 4], stride: 2, pad: 1 },
  { size: [1, 33, 17], channels: [4, 68], kernel: [3, 3], stride: 2, pad: 1 },
  { size: [1, 6, 7], channels: [2, 3], kernel: [2, 5], stride: 3, pad: 2 },
  { size: [3, 4, 5], channels: [8, 4], kernel: [1, 1], stride: 1, pad: 0 },
];

const out = ({ size: [n, h, w], kernel, stride, pad }: Case): [number, number, number] => [
  n,
  Math.floor((h + 2 * pad - kernel[0]) / stride) + 1,
  Math.floor((w + 2 * pad - kernel[1]) / stride) + 1,
];

const f32 = (data: Float32Array): Storage => ({ dtype: 'f32', data });

describe.skipIf(!device).each(CASES)('$kernel stride $stride, $size, $channels', (c) => {
  const [inputs, outputs] = c.channels;
  const [kh, kw] = c.kernel;
  const [n, oh, ow] = out(c);
  const dy = view(0, [n, oh, ow], outputs, { offset: 4 });

  test('dgrad', async () => {
    const dx = view(1, c.size, inputs, { offset: 8 });
    const weights = noisy(inputs * outputs * kh * kw, 3); // [I, O, H, W]
    const packing = convPacking(outputs, inputs, 1);
    if (packing.kind !== 'conv') throw new Error('not a conv packing');
    const slots = [slab(dy, 1), slab(dx, 2), f32(packConv(weights, [inputs, outputs, kh, kw], packing))];
    const d = field(dy, slots[0]!);
    const call = dgrad({ ...c, dy, dx, weight: { slot: 2, dtype: 'f32' } });
    await expectKernel(call, slots, dx, (b, y, x, i) => {
      let sum = 0;
      for (let o = 0; o < outputs; o++) {
        for (let oy = 0; oy < oh; oy++) {
          for (let ox = 0; ox < ow; ox++) {
            const [ky, kx] = [y + c.pad - oy * c.stride, x + c.pad - ox * c.stride];
            if (ky < 0 || kx < 0 || ky >= kh || kx >= kw) continue;
            sum += d(b, oy, ox, o) * weights[((i * outputs + o) * kh + ky) * kw + kx]!;
          }
        }
      }
      return sum;
    });
  });

  test('wgrad', async () => {
    const x = view(1, c.size, inputs, { offset: 4 });
    const packing = convPacking(inputs, outputs, 1);
    if (packing.kind !== 'conv') throw new Error('not a conv packing');
    const elements = kh * kw * packing.inputs * packing.outputs;
    const slots = [slab(dy, 1), slab(x, 2), f32(noisy(elements * WGRAD_PARTS, 4))];
    const partial = { slot: 2, dtype: 'f32' } as const;
    const parts = (await launch(wgrad({ ...c, x, dy, partial }), slots, {}))[2]!;
    const dw = { slot: 1, dtype: 'f32' } as const;
    const sumCall = wgradSum({ partial: { ...partial, slot: 0 }, dw, elements });
    const [, result] = await launch(sumCall, [f32(parts), f32(noisy(elements, 5))], {});
    const [from, d] = [field(x, slots[1]!), field(dy, slots[0]!)];
    const expected = new Float32Array(inputs * outputs * kh * kw).map((_, at) => {
      const [kx, ky] = [at % kw, Math.floor(at / kw) % kh];
      const [i, o] = [Math.floor(at / (kh * kw)) % inputs, Math.floor(at / (kh * kw * inputs))];
      let sum = 0;
      for (let b = 0; b < n; b++) {
        for (let oy = 0; oy < oh; oy++) {
          for (let ox = 0; ox < ow; ox++) {
            sum += d(b, oy, ox, o) * from(b, oy * c.stride - c.pad + ky, ox * c.stride - c.pad + kx, i);
          }
        }
      }
      return sum;
    });
    const want = packConv(expected, [outputs, inputs, kh, kw], packing);
    result!.forEach((value, at) => {
      expect(Math.abs(value - want[at]!) / Math.max(1, Math.abs(want[at]!)), `element ${at}`).toBeLessThan(
        1e-5,
      );
    });
  });
});
