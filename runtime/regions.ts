// Where tiles and parts of an image lie, in pixels of a tensor of any scale.

import { pixels, type Scale } from './halo.js';
import type { Region } from './image.js';
import type { Part } from './schedule.js';

/** The pixels of the whole image's tensor that a tile of a part covers, with its halo or without. */
export function regionOf(
  part: Part,
  tile: Part,
  scale: Scale,
  first: 'from' | 'start',
  last: 'to' | 'end',
): Region {
  return {
    top: pixels(part.rows.from + tile.rows[first], scale),
    bottom: pixels(part.rows.from + tile.rows[last], scale),
    left: pixels(part.columns.from + tile.columns[first], scale),
    right: pixels(part.columns.from + tile.columns[last], scale),
  };
}

/** The pixels that a part is responsible for. */
export function coreOf({ rows, columns }: Part, scale: Scale): Region {
  return {
    top: pixels(rows.start, scale),
    bottom: pixels(rows.end, scale),
    left: pixels(columns.start, scale),
    right: pixels(columns.end, scale),
  };
}

export function intersect(a: Region, b: Region): Region {
  return {
    top: Math.max(a.top, b.top),
    bottom: Math.min(a.bottom, b.bottom),
    left: Math.max(a.left, b.left),
    right: Math.min(a.right, b.right),
  };
}
