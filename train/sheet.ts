// A sheet of samples: for each image the same place as bicubic enlargement, the network and the original show it, side by
// side in this order.

import type { Image } from '../formats/image.js';
import { crop } from './data/rgb.js';
import type { Result, TestImage } from './validation.js';

export interface Sample extends Pick<TestImage, 'hr' | 'bicubic'> {
  readonly ours: Result;
}

/** Pixels between the pictures, and what they are filled with. */
const GAP = 4;
const WHITE = 255;

/** Each picture is the middle of an image, `side` pixels high and wide at most. */
export function sampleSheet(samples: readonly Sample[], side = 160): Image {
  const rows = samples.map(({ hr, bicubic, ours }) => {
    const [width, height] = [Math.min(side, hr.width), Math.min(side, hr.height)];
    const area = {
      x: Math.floor((hr.width - width) / 2),
      y: Math.floor((hr.height - height) / 2),
      width,
      height,
    };
    return [bicubic.image, ours.image, hr].map((image) => crop(image, area));
  });
  const width = Math.max(...rows.map((row) => span(row.map((image) => image.width))));
  const height = span(rows.map(([first]) => first!.height));
  const data = new Uint8Array(3 * width * height).fill(WHITE);
  let y = 0;
  for (const row of rows) {
    let x = 0;
    for (const image of row) {
      paste(data, width, image, x, y);
      x += image.width + GAP;
    }
    y += row[0]!.height + GAP;
  }
  return { width, height, channels: 3, depth: 8, data };
}

/** Of pictures in a line. */
function span(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size + GAP, -GAP);
}

function paste(data: Uint8Array, width: number, image: Image, x: number, y: number): void {
  for (let row = 0; row < image.height; row++) {
    const from = 3 * row * image.width;
    data.set(image.data.subarray(from, from + 3 * image.width), 3 * ((y + row) * width + x));
  }
}
