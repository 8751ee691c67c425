// Which picture a sample shows. In an epoch, a picture comes as often as patches fit into it side by side, in an order
// that is shuffled anew each time: every pixel is as likely as any other, and cutting the pictures up (as `src prepare
// --subimages` does, and DIV2K's recipe) does not change what is seen. BasicSR takes each file equally often instead,
// repeated for longer epochs (enlarge ratio); with files of very different sizes the small ones are then worn out.

import { randomFor } from '../random.js';
import type { Size } from './rgb.js';

/** The picture of a sample, by number from 0 on. */
export type Order = (sample: number) => number;

export function sampleOrder(images: readonly Size[], patch: number, seed: number, stage: string): Order {
  const counts = images.map(({ width, height }) => Math.floor(width / patch) * Math.floor(height / patch));
  const epochLength = counts.reduce((sum, count) => sum + count, 0);
  const sorted = new Uint32Array(epochLength);
  counts.reduce((start, count, image) => sorted.fill(image, start, start + count) && start + count, 0);

  let current = { epoch: -1, images: sorted };
  return (sample) => {
    const epoch = Math.floor(sample / epochLength);
    if (epoch !== current.epoch) {
      const shuffled = sorted.slice();
      randomFor(seed, 'order', stage, epoch).shuffle(shuffled);
      current = { epoch, images: shuffled };
    }
    return current.images[sample % epochLength]!;
  };
}
