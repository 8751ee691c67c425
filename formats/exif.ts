// The two facts of EXIF that matter to pixels: which way is up, and how large they are. EXIF is a TIFF directory
// (CIPA DC-008, section 4.6.2); one that cannot be read says nothing, as in every viewer.

import type { Density, Image } from './image.js';
import { newSamples } from './image.js';

export interface Exif {
  /** 1 (upright) to 8; anything else means nothing. */
  readonly orientation: number;
  readonly density?: Density;
}

const ORIENTATION = 0x0112;
const X_RESOLUTION = 0x011a;
const Y_RESOLUTION = 0x011b;
const RESOLUTION_UNIT = 0x0128;

const SHORT = 3;
const RATIONAL = 5;

/** Units per metre by RESOLUTION_UNIT: inches (also when missing) and centimetres. */
const PER_METRE = new Map([
  [2, 1 / 0.0254],
  [3, 100],
]);

/** Reads a TIFF header with or without JPEG's "Exif\0\0" in front of it. */
export function readExif(bytes: Uint8Array): Exif | undefined {
  const prefixed = String.fromCharCode(...bytes.subarray(0, 4)) === 'Exif';
  const tiff = prefixed ? bytes.subarray(6) : bytes;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 8) return undefined;
  const mark = view.getUint16(0);
  if (mark !== 0x4949 && mark !== 0x4d4d) return undefined;
  const little = mark === 0x4949;
  const directory = view.getUint32(4, little);
  if (view.getUint16(2, little) !== 42 || directory + 2 > tiff.length) return undefined;

  const values = new Map<number, number>();
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > tiff.length) break;
    const type = view.getUint16(at + 2, little);
    if (type === SHORT) values.set(view.getUint16(at, little), view.getUint16(at + 8, little));
    if (type === RATIONAL) {
      const value = view.getUint32(at + 8, little);
      if (value + 8 > tiff.length) continue;
      values.set(
        view.getUint16(at, little),
        view.getUint32(value, little) / view.getUint32(value + 4, little),
      );
    }
  }
  const unit = PER_METRE.get(values.get(RESOLUTION_UNIT) ?? 2);
  const x = (values.get(X_RESOLUTION) ?? Number.NaN) * (unit ?? Number.NaN);
  const y = (values.get(Y_RESOLUTION) ?? Number.NaN) * (unit ?? Number.NaN);
  return {
    orientation: values.get(ORIENTATION) ?? 1,
    ...(x > 0 && y > 0 && Number.isFinite(x * y) && { density: { x, y, unit: 'metre' } }),
  };
}

/**
 * For each orientation: whether the upright image starts at the right and at the bottom of the stored one, and whether
 * its rows run along the stored columns.
 */
const LAYOUT: readonly (readonly [right: boolean, bottom: boolean, transposed: boolean])[] = [
  [false, false, false],
  [true, false, false],
  [true, true, false],
  [false, true, false],
  [false, false, true],
  [false, true, true],
  [true, true, true],
  [true, false, true],
];

/** The image as it is to be seen; an orientation that does not exist is ignored. */
export function orient(image: Image, orientation: number): Image {
  const layout = LAYOUT[orientation - 1];
  if (!layout || orientation === 1) return image;
  const [right, bottom, transposed] = layout;
  const { width, height, channels, data, density } = image;
  const alongX = right ? -1 : 1;
  const alongY = bottom ? -width : width;
  const start = (right ? width - 1 : 0) + (bottom ? (height - 1) * width : 0);
  const [stepX, stepY] = transposed ? [alongY, alongX] : [alongX, alongY];
  const [outWidth, outHeight] = transposed ? [height, width] : [width, height];

  const out = newSamples(image.depth, data.length);
  let to = 0;
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const from = (start + x * stepX + y * stepY) * channels;
      for (let c = 0; c < channels; c++) out[to++] = data[from + c]!;
    }
  }
  return {
    ...image,
    width: outWidth,
    height: outHeight,
    data: out,
    ...(density && transposed && { density: { ...density, x: density.y, y: density.x } }),
  };
}
