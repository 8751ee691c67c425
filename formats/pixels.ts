// Between files and networks: interleaved samples to planar RGB in [0, 1] and back. Gray goes in as three equal channels
// and comes out as their mean; alpha travels beside the colour.

import { fail, internal } from '../diagnostics.js';
import { bleed } from './bleed.js';
import { blankLike, hasAlpha, type Image, isGray, type Planes } from './image.js';

export interface ColourAndAlpha {
  /** Three channels. */
  readonly rgb: Planes;
  /** One channel, where the image has one. */
  readonly alpha?: Planes;
}

/** Colour under full transparency is replaced by that of its surroundings; see bleed.ts. */
export function toPlanes(image: Image): ColourAndAlpha {
  const { width, height, channels, data } = image;
  const area = width * height;
  const white = image.depth === 8 ? 255 : 65535;
  const read = (plane: Float32Array, channel: number) => {
    for (let i = 0, from = channel; i < area; i++, from += channels) plane[i] = data[from]! / white;
  };
  const rgb = { channels: 3, height, width, data: new Float32Array(3 * area) };
  for (let c = 0; c < 3; c++) read(rgb.data.subarray(c * area, (c + 1) * area), isGray(channels) ? 0 : c);
  if (!hasAlpha(channels)) return { rgb };
  const alpha = { channels: 1, height, width, data: new Float32Array(area) };
  read(alpha.data, channels - 1);
  bleed(rgb, alpha.data);
  return { rgb, alpha };
}

/** The image of `planes` that has the channels, depth, profile and physical size of `source`. */
export function fromPlanes(planes: ColourAndAlpha, source: Image): Image {
  const image = blankLike(source, planes.rgb.width, planes.rgb.height);
  storeRows(image, 0, planes);
  return image;
}

/** Writes planes as wide as `image` into its rows from `top` on, rounded to its depth. */
export function storeRows(image: Image, top: number, { rgb, alpha }: ColourAndAlpha): void {
  const { channels, width } = image;
  const area = rgb.width * rgb.height;
  const alphaArea = hasAlpha(channels) ? area : 0;
  if (rgb.width !== width || top + rgb.height > image.height || (alpha?.data.length ?? 0) !== alphaArea) {
    internal(
      `${rgb.width}x${rgb.height} pixels at row ${top}${alpha ? ', with alpha,' : ''} do not fit into ` +
        `${width}x${image.height} of ${channels} channels`,
    );
  }
  const [red, green, blue] = [0, 1, 2].map((c) => rgb.data.subarray(c * area, (c + 1) * area));
  // Three estimates of one gray value: the mean is the one closest to all of them.
  const colours = isGray(channels) ? [mean(red!, green!, blue!)] : [red!, green!, blue!];
  const planes = alpha ? [...colours, alpha.data] : colours;
  planes.forEach((plane, channel) => {
    storePlane(image, top, plane, channel);
  });
}

function storePlane(image: Image, top: number, plane: Float32Array, channel: number): void {
  const { data, channels, width } = image;
  const white = image.depth === 8 ? 255 : 65535;
  let to = top * width * channels + channel;
  for (let i = 0; i < plane.length; i++, to += channels) {
    const value = plane[i]!;
    if (Number.isNaN(value)) {
      fail('the result contains values that are not numbers (NaN)', {
        notes: [`the first is at column ${i % width}, row ${top + Math.floor(i / width)}`],
        help: 'run with --precision f32; if that does not help, the weights are damaged',
      });
    }
    data[to] = value <= 0 ? 0 : value >= 1 ? white : Math.floor(value * white + 0.5);
  }
}

function mean(red: Float32Array, green: Float32Array, blue: Float32Array): Float32Array {
  return red.map((value, i) => (value + green[i]! + blue[i]!) / 3);
}
