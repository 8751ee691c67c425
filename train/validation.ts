// How well a network enlarges, by the protocol of the papers: the original is cropped to a multiple of the scale, reduced
// by MATLAB's bicubic and rounded to 8 bits; the network's result is rounded to 8 bits and compared on MATLAB's Y without
// a border of as many pixels as the scale. Bicubic enlargement goes through the same steps, as the baseline.
// (BasicSR's scripts crop to multiples of 12, so that one set of originals serves x2, x3 and x4. Images that were prepared
// so are multiples already, and others lose fewer pixels here.)

import { fail } from '../diagnostics.js';
import { type Image, isGray, type Planes, to8Bit } from '../formats/image.js';
import { psnr, psnrY, ssimY } from '../formats/metrics.js';
import { fromPlanes, toPlanes } from '../formats/pixels.js';
import { imresize } from '../formats/resize.js';

export interface Scores {
  /** On luma, in dB; infinite for equal images. */
  readonly psnr: number;
  /** On luma. */
  readonly ssim: number;
  /** PSNR over red, green and blue, in dB. */
  readonly psnrRgb: number;
}

/** An image to be enlarged, with what it should become; 8-bit RGB. */
export interface TestImage {
  readonly name: string;
  readonly scale: number;
  /** The network's input. */
  readonly lr: Planes;
  readonly hr: Image;
  readonly bicubic: Result;
}

export interface Result {
  readonly image: Image;
  readonly scores: Scores;
}

export interface Row {
  readonly name: string;
  readonly ours: Scores;
  readonly bicubic: Scores;
}

export interface Evaluation {
  readonly rows: readonly Row[];
  readonly mean: Omit<Row, 'name'>;
}

export type Upscale = (lr: Planes) => Promise<Planes>;

/** With `reduced`, that is the input; otherwise it is made from the original. */
export function testImage(name: string, original: Image, scale: number, reduced?: Image): TestImage {
  const lr = reduced ? toPlanes(rgb8(reduced)).rgb : reduce(name, original, scale);
  const hr = cropTo(name, rgb8(original), lr, scale);
  const image = rounded(imresize(lr, scale), hr);
  return { name, scale, lr, hr, bicubic: { image, scores: compare({ name, hr, scale }, image) } };
}

/** What the network makes of one image. */
export async function score(test: TestImage, upscale: Upscale): Promise<Result> {
  const planes = await upscale(test.lr);
  const { width, height } = test.hr;
  if (planes.width !== width || planes.height !== height) {
    const { lr } = test;
    fail(
      `${test.name}: the network makes ${planes.width}x${planes.height} pixels of ${lr.width}x${lr.height}`,
      {
        notes: [`the original has ${width}x${height}`],
        help: `evaluate a network that enlarges by ${test.scale}`,
      },
    );
  }
  const image = rounded(planes, test.hr);
  return { image, scores: compare(test, image) };
}

/** The table of all images; `each` sees the pictures, which are not kept. */
export async function evaluate(
  tests: Iterable<TestImage> | AsyncIterable<TestImage>,
  upscale: Upscale,
  each?: (test: TestImage, result: Result) => Promise<void>,
): Promise<Evaluation> {
  const rows: Row[] = [];
  for await (const test of tests) {
    const result = await score(test, upscale);
    rows.push({ name: test.name, ours: result.scores, bicubic: test.bicubic.scores });
    await each?.(test, result);
  }
  if (rows.length === 0) fail('there are no images to evaluate', { help: 'pass a folder with images' });
  return {
    rows,
    mean: { ours: mean(rows.map((row) => row.ours)), bicubic: mean(rows.map((row) => row.bicubic)) },
  };
}

/** Of the images' scores: papers average decibels. */
function mean(scores: readonly Scores[]): Scores {
  const of = (key: keyof Scores) => scores.reduce((sum, one) => sum + one[key], 0) / scores.length;
  return { psnr: of('psnr'), ssim: of('ssim'), psnrRgb: of('psnrRgb') };
}

/** SSIM looks at windows of 11 pixels. */
const SSIM_WINDOW = 11;

function compare({ name, hr, scale }: Pick<TestImage, 'name' | 'hr' | 'scale'>, image: Image): Scores {
  const least = SSIM_WINDOW + 2 * scale;
  if (Math.min(hr.width, hr.height) < least) {
    fail(`${name}: ${hr.width}x${hr.height} pixels are too few to be evaluated`, {
      notes: [
        `a border of ${scale} is left out and SSIM needs ${SSIM_WINDOW} pixels: ${least}x${least} at least`,
      ],
      help: 'leave this image out',
    });
  }
  return { psnr: psnrY(image, hr, scale), ssim: ssimY(image, hr, scale), psnrRgb: psnr(image, hr, scale) };
}

function reduce(name: string, original: Image, scale: number): Planes {
  const size = { width: Math.floor(original.width / scale), height: Math.floor(original.height / scale) };
  if (size.width === 0 || size.height === 0) {
    fail(`${name}: ${original.width}x${original.height} pixels cannot be reduced by ${scale}`, {
      help: 'leave this image out',
    });
  }
  const hr = cropTo(name, rgb8(original), size, scale);
  const small = imresize(toPlanes(hr).rgb, 1 / scale);
  return toPlanes(rounded(small, hr)).rgb;
}

/** The upper left part that is exactly `scale` times the input. */
function cropTo(name: string, hr: Image, lr: Pick<Planes, 'width' | 'height'>, scale: number): Image {
  const width = lr.width * scale;
  const height = lr.height * scale;
  const fits = (size: number, wanted: number) => size >= wanted && size < wanted + scale;
  if (!fits(hr.width, width) || !fits(hr.height, height)) {
    fail(`${name}: the original is not ${scale} times the size of its reduced image`, {
      notes: [`the original has ${hr.width}x${hr.height} pixels, the reduced one ${lr.width}x${lr.height}`],
      help: `pair it with an image of ${Math.floor(hr.width / scale)}x${Math.floor(hr.height / scale)}`,
    });
  }
  return crop(hr, { x: 0, y: 0, width, height });
}

export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function crop(image: Image, { x, y, width, height }: Area): Image {
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * image.width + x) * channels;
    data.set(image.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { ...image, width, height, data };
}

function rounded(planes: Planes, like: Image): Image {
  return fromPlanes({ rgb: planes }, like);
}

/** What the metrics are defined on; gray becomes three equal channels, transparency is left out. */
function rgb8(image: Image): Image {
  const { width, height, channels, data } = to8Bit(image);
  const step = isGray(channels) ? 0 : 1;
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0, from = 0; i < rgb.length; i += 3, from += channels) {
    for (let c = 0; c < 3; c++) rgb[i + c] = data[from + c * step]!;
  }
  return { width, height, channels: 3, depth: 8, data: rgb };
}
