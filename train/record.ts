// What a training leaves behind, as the trainer sees it: files in Node (cli/run-folder.ts), anything else in a browser.
// A call that fails throws and has lost nothing: what was recorded before is still there.

import type { Image } from '../formats/image.js';
import type { WeightTensor } from '../formats/weights.js';
import type { MetricsLine } from './metrics.js';
import type { TrainingState } from './state.js';

export interface Recorder {
  /** To be called in the order of the steps, and before the checkpoint that includes them. */
  metrics(line: MetricsLine): Promise<void>;
  /** Checkpoints of a stage replace each other but for the last few; that of its last step stays. */
  checkpoint(state: TrainingState): Promise<void>;
  /** The generator as it is used: under its own names, averaged where the stage averages. Replaces the stage's last. */
  weights(at: Moment, tensors: ReadonlyMap<string, WeightTensor>): Promise<void>;
  /** Validation images, side by side. */
  sample(at: Moment, image: Image): Promise<void>;
}

export interface Moment {
  readonly stage: string;
  readonly step: number;
}
