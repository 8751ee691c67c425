// Weights as data: a bag of named tensors, whatever file they came from.

import type { Dtype } from './dtype.js';

/** One tensor, row-major, widened to f32 (`dtype` says how it is stored in a file). */
export interface WeightTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  readonly dtype: Dtype;
}

export type WeightFormat = 'safetensors' | 'pth' | 'ncnn' | 'tfjs';

export interface WeightFile {
  /** The file's name, for messages. */
  readonly name: string;
  readonly format: WeightFormat;
  /** In the file's own order (ncnn, tfjs: execution order). */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** What the file says about itself, and what reading it chose: `wrapper` (pth) and `prefix`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Finds the other file of a pair or set: the `.bin` of a `.param`, a shard of a `model.json`. Gets a sibling's name in
 * the form of the name that was read (same folder part); undefined when there is no such file.
 */
export type Companion = (name: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>;
