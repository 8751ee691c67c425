// Weights as data: a bag of named tensors, whatever file they came from.

/** One tensor, row-major, widened to f32 (`dtype` says how it was stored). */
export interface WeightTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  readonly dtype: 'f32' | 'f16' | 'bf16' | 'f64' | 'i64' | 'i32';
}

/** How names of a file are to be understood. `order` formats list their tensors in execution order. */
export type WeightFormat = 'safetensors' | 'pth' | 'ncnn' | 'tfjs';

export interface WeightFile {
  readonly format: WeightFormat;
  /** In the file's own order (ncnn, tfjs: execution order). */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}
