// What a workgroup of a convolution holds in workgroup memory at a time: the inputs of its tile, with their halo, of a
// block of input channels; and the weights of some rows of the kernel from those to its output channels.

import type { TiledTile } from './conv2d.js';
import { unrolledTaps } from './conv2d_frame.js';
import { groupsOf } from './text.js';

/** A convolution as far as it decides what is staged; of a gradient, `channels` are those of `dy`. */
export interface Staged {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly transposed: boolean;
  /** Read. */
  readonly channels: number;
}

export interface Staging {
  /** Of the workgroup's tile: pixels of a phase, and groups of output channels. */
  readonly width: number;
  readonly height: number;
  readonly groups: number;
  readonly invocations: number;
  /** Taps of a phase along each axis; for a gradient, of the phase that has most. */
  readonly taps: readonly [rows: number, columns: number];
  /** Taps of a row that the text unrolls. */
  readonly unrolled: number;
  /** Input pixels between those of two output pixels. */
  readonly step: number;
  /** Groups of 4 input channels at a time, a divisor of all there are; and rows of the kernel. */
  readonly depth: number;
  readonly rows: number;
  /** Columns of the patch, which is `[row][column][group]`, with padding. */
  readonly pitch: number;
  /** Output groups of the weights, with padding. */
  readonly weightPitch: number;
  /** Vectors of 4 in each. */
  readonly patchSize: number;
  readonly weightSize: number;
}

/** What is staged as. */
export interface Memory {
  /** Of a vector of 4. */
  readonly vectorBytes: number;
  /** Needed for something else. */
  readonly reservedBytes: number;
  /** Groups of input channels that are multiplied at a time: a power of two. */
  readonly leastDepth: number;
  readonly invocationsPerLane: number;
  /** Rows, and the four vectors of an output group, begin in different banks. */
  readonly oddPitch: boolean;
}

/** What every device has, and what leaves room for other workgroups on the same core. */
export const STORAGE_BYTES = 16384;
const BYTES_PER_INVOCATION = 128;
const MOST_DEPTH = 8;

/**
 * The most input channels at a time that fit, then the most rows of the kernel: few barriers, and full sectors of
 * global memory. Undefined where not even one of each fits.
 */
export function stagingOf(conv: Staged, tile: TiledTile, memory: Memory): Staging | undefined {
  const { kernel, stride, transposed } = conv;
  const { vectorBytes, leastDepth, oddPitch } = memory;
  const [across, down, outputs] = tile.lanes;
  const invocations = across * down * outputs * memory.invocationsPerLane;
  const extent = { width: tile.width * across, height: tile.height * down, groups: tile.groups * outputs };
  const taps = kernel.map((size) => (transposed ? Math.ceil(size / stride) : size)) as [number, number];
  const step = transposed ? 1 : stride;
  const [rows, columns] = [(extent.height - 1) * step + taps[0], (extent.width - 1) * step + taps[1]];
  const [pitch, weightPitch] = oddPitch ? [columns | 1, extent.groups | 1] : [columns, extent.groups];
  const patchOf = (depth: number): number => rows * depth * pitch;
  const weightsOf = (depth: number, kernelRows: number): number =>
    kernelRows * depth * taps[1] * 4 * weightPitch;
  const available = STORAGE_BYTES - memory.reservedBytes;
  const most = Math.min(available, BYTES_PER_INVOCATION * invocations) / vectorBytes;
  const inputs = groupsOf(conv.channels);
  let depth = MOST_DEPTH;
  while (depth > leastDepth && (inputs % depth > 0 || patchOf(depth) + weightsOf(depth, 1) > most))
    depth /= 2;
  const fitting = Math.max(1, Math.floor((most - patchOf(depth)) / weightsOf(depth, 1)));
  const kernelRows = Math.ceil(taps[0] / Math.ceil(taps[0] / fitting));
  const [patchSize, weightSize] = [patchOf(depth), weightsOf(depth, kernelRows)];
  if (inputs % depth > 0 || (patchSize + weightSize) * vectorBytes > available) return undefined;
  return {
    ...extent,
    invocations,
    taps,
    unrolled: unrolledTaps(taps[1]),
    step,
    depth,
    rows: kernelRows,
    pitch,
    weightPitch,
    patchSize,
    weightSize,
  };
}
