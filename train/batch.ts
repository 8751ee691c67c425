// What one step of training is fed: patches in the layout of the device.

/** `[batch][height][width][4]` each: red, green and blue in [0, 1] and a zero. */
export interface Batch {
  /** The generator's input. */
  readonly lr: Float32Array<ArrayBuffer>;
  /** The original, `scale` times as high and wide. */
  readonly hr: Float32Array<ArrayBuffer>;
  /** The original, sharpened, where the loss asks for it. */
  readonly usm?: Float32Array<ArrayBuffer>;
}

/**
 * Batches by number, from 0: batch k is a function of the data, the recipe's seed, the stage and k, and of nothing
 * else, so that training can be taken up anywhere and prepared ahead on any number of threads.
 */
export interface BatchSource {
  batch(k: number): Promise<Batch>;
}
