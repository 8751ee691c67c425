// What GPUs are offered: every candidate is a kernel that WebGPU accepts with its default limits.

import { describe, expect, test } from 'vitest';
import { type ConvClass, candidates, choose } from '../../runtime/kernels/conv_family.js';
import { conv2d } from '../../runtime/kernels/conv2d.js';
import { dgrad, wgradParts } from '../../runtime/kernels/conv2d_backward.js';
import type { KernelCall } from '../../runtime/kernels/kernel.js';
import { device } from '../device.js';
import { view } from './tensors.js';

const GPU = { software: false };
const CONV: ConvClass = {
  ...{ op: 'conv', kernel: [3, 3], stride: 1, phases: 1, inputs: 64, outputs: 64, dtype: 'f32' },
};

const CLASSES: readonly ConvClass[] = [
  CONV,
  { ...CONV, inputs: 3, kernel: [9, 9] },
  { ...CONV, outputs: 3, kernel: [9, 9] },
  { ...CONV, inputs: 160, outputs: 32 },
  { ...CONV, inputs: 36, outputs: 24, kernel: [1, 1] },
  { ...CONV, kernel: [4, 4], stride: 2, outputs: 128 },
  { ...CONV, kernel: [5, 5], stride: 3 },
  { ...CONV, op: 'dgrad', kernel: [4, 4], stride: 2 },
  { ...CONV, op: 'dgrad', kernel: [3, 3], stride: 2, inputs: 3 },
  { ...CONV, op: 'wgrad' },
  { ...CONV, op: 'wgrad', inputs: 3, kernel: [9, 9] },
  { ...CONV, op: 'wgrad', outputs: 3 },
  { ...CONV, op: 'wgrad', kernel: [4, 4], stride: 2 },
  { ...CONV, op: 'wgrad', kernel: [1, 1], inputs: 48 },
];

/** All kernels that are worth trying for a class. */
function callsOf(of: ConvClass): KernelCall[] {
  const [big, small] = [view(0, [1, 64, 64], of.inputs), view(1, [1, 64, 64], of.outputs)];
  const geometry = { kernel: of.kernel, stride: of.stride, pad: of.kernel[0] >> 1 };
  const weight = { slot: 2, dtype: of.dtype };
  return candidates(of, GPU).map((choice) => {
    const shared = { ...geometry, ...choice };
    if (of.op === 'dgrad') return dgrad({ ...shared, dy: small, dx: big, weight });
    if (of.op === 'wgrad') return wgradParts({ ...shared, x: big, dy: small, partial: weight, parts: 4 });
    return conv2d({ ...shared, x: big, y: small, weight, phases: 1, phaseShift: 0, epilogue: [] });
  });
}

describe.each(CLASSES)('$op$kernel stride $stride, $inputs to $outputs channels', (of) => {
  test('has several candidates, within the default limits', () => {
    const calls = callsOf(of);
    expect(new Set(calls.map(({ wgsl }) => wgsl)).size).toBe(calls.length);
    expect(calls.length).toBeGreaterThan(1);
    expect(calls.length).toBeLessThanOrEqual(10);
    for (const { wgsl } of calls) {
      const staged = [...wgsl.matchAll(/var<workgroup> \w+: array<Value, (\d+)>/g)].map(([, n]) => Number(n));
      expect(16 * staged.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(16384);
      const [, ...sizes] = /@workgroup_size\((\d+)(?:, (\d+))?\)/.exec(wgsl) as unknown as string[];
      const invocations = sizes.reduce((product, size) => product * Number(size ?? 1), 1);
      expect(invocations).toBeLessThanOrEqual(256);
    }
  });

  test.skipIf(!device)('and WebGPU accepts the text of each', async () => {
    for (const { name, wgsl } of callsOf(of)) {
      const { messages } = await device!.createShaderModule({ code: wgsl }).getCompilationInfo();
      expect(messages.map(({ message }) => `${name}: ${message}`)).toEqual([]);
    }
  });
});

test('large images get large tiles, small images many workgroups', () => {
  const pixelsOf = (pixels: number): number => {
    const { tile } = choose({ ...CONV, pixels }, GPU);
    if (!tile || !('lanes' in tile)) throw new Error('not a tiled kernel');
    return tile.width * tile.height * tile.lanes[0] * tile.lanes[1];
  };
  expect(pixelsOf(2 ** 20)).toBeGreaterThan(pixelsOf(2 ** 13));
  expect(pixelsOf(2 ** 13)).toBeGreaterThan(pixelsOf(2 ** 8));
});

test('few channels are not worth staging; software has no workgroup memory', () => {
  expect(choose({ ...CONV, inputs: 3 }, GPU).variant).toBe('direct');
  expect(choose({ ...CONV, outputs: 3 }, GPU).variant).toBe('direct');
  const variantsOf = (op: ConvClass['op']) =>
    candidates({ ...CONV, op }, { software: true, subgroupSize: 8 }).map(({ variant }) => variant);
  expect(variantsOf('conv')).toEqual(['subgroup', 'subgroup']);
  expect(variantsOf('dgrad')).toEqual(['subgroup']);
  expect(variantsOf('wgrad')).toEqual(['subgroup']);
});
