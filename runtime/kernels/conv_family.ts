// The family of convolution kernels as data: what tells convolutions apart that want different kernels, and which kernels
// are worth trying for one. The first candidate is what runs where nothing was measured. Results never depend on the
// choice beyond rounding.

import type { DType } from '../plan.js';
import { gpuCandidates } from './conv_gpu.js';
import type { AnyTile } from './conv2d.js';
import type { MatrixShape } from './conv2d_matrix.js';

export type ConvVariant = 'direct' | 'tiled' | 'matrix' | 'subgroup';

/** A text of the family. */
export interface ConvChoice {
  readonly variant: ConvVariant;
  /** The variant has a default. */
  readonly tile?: AnyTile;
}

/** A convolution or a gradient of one, as far as its speed depends on it. */
export interface ConvClass {
  readonly op: 'conv' | 'dgrad' | 'wgrad';
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly phases: number;
  /** Of the convolution, also where this is a gradient. */
  readonly inputs: number;
  readonly outputs: number;
  readonly dtype: DType;
  /** Pixels of what is written, of `dy` for a gradient of weights, over all images; undefined where sizes are symbols. */
  readonly pixels?: number;
}

/** What of a device decides. */
export interface ConvDevice {
  /** Lanes of a subgroup where the device supports subgroups and fixes their size. */
  readonly subgroupSize?: number;
  /** A Vulkan implemented on the CPU. */
  readonly software: boolean;
  /** Of the products of subgroup matrices, where the device was opened with them. */
  readonly matrix?: MatrixShape;
}

/** Choices that were measured, by `classKey`. */
export type Tuned = Readonly<Record<string, ConvChoice>>;

/** `conv3x3 64>64 s1 p1 f32 @16384`; sizes within a factor of two share a key. */
export function classKey({ op, kernel, stride, phases, inputs, outputs, dtype, pixels }: ConvClass): string {
  const size = pixels === undefined ? '' : ` @${2 ** Math.ceil(Math.log2(pixels))}`;
  return `${op}${kernel.join('x')} ${inputs}>${outputs} s${stride} p${phases} ${dtype}${size}`;
}

/** What is worth trying, the likely best first. */
export function candidates(of: ConvClass, device: ConvDevice): readonly ConvChoice[] {
  return device.software ? softwareCandidates(of, device) : gpuCandidates(of, device);
}

/** Workgroup memory is slow in software, and the direct kernel takes ten seconds to compile. */
function softwareCandidates({ op, outputs }: ConvClass, { subgroupSize }: ConvDevice): readonly ConvChoice[] {
  if (subgroupSize === undefined) return [{ variant: 'direct' }];
  // Twice the pixels and half the channels: other loads are shared. For a gradient of weights there is one arrangement.
  const other = { width: 16, height: subgroupSize / 2, groups: 4 };
  const hasOther = op === 'conv' && outputs > 4 * other.groups;
  return [{ variant: 'subgroup' }, ...(hasOther ? [{ variant: 'subgroup', tile: other } as const] : [])];
}

/** The measured choice, else the likely best. A choice measured elsewhere may not be among the candidates here. */
export function choose(of: ConvClass, device: ConvDevice, tuned: Tuned = {}): ConvChoice {
  const list = candidates(of, device);
  const measured = tuned[classKey(of)];
  const isOne = (choice: ConvChoice) => JSON.stringify(choice) === JSON.stringify(measured);
  return list.find(isOne) ?? list[0]!;
}
