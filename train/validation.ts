// How well a network enlarges, by the protocol of the papers: the original is cropped to a multiple of the scale, reduced
// by MATLAB's bicubic and rounded to 8 bits; the network's result is rounded to 8 bits and compared on MATLAB's Y without
// a border of as many pixels as the scale. Bicubic enlargement goes through the same steps, as the baseline.
// (BasicSR's scripts crop to multiples of 12, so that one set of originals serves x2, x3 and x4. Images that were prepared
// so are multiples already, and others lose fewer pixels here.)

import { fail } from '../diagnostics.js';
import type { Image, Planes } from '../formats/image.js';
import { psnr, psnrY, ssimY } from '../formats/metrics.js';
import { fromPlanes, toPlanes } from '../formats/pixels.js';
import { imresize } from '../formats/resize.js';
import { checkPair } from './data/images.js';
import { cropToMultiple, rgb8, type Size, shrink } from './data/rgb.js';

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

/** `reduced` is the input where there is one; otherwise it is made from the original. */
export function testImage(name: string, original: Image, scale: number, reduced?: Image): TestImage {
  if (reduced) checkPair({ ...original, name }, { ...reduced, name: `the reduced ${name}` }, scale);
  checkSize(name, original, scale);
  const hr = cropToMultiple(rgb8(original), scale);
  const lr = toPlanes(reduced ? rgb8(reduced) : shrink(hr, scale)).rgb;
  const image = rounded(imresize(lr, scale), hr);
  return { name, scale, lr, hr, bicubic: { image, scores: compare(image, hr, scale) } };
}

/** What the network makes of one image. */
export async function score(test: TestImage, upscale: Upscale): Promise<Result> {
  const image = rounded(await upscale(test.lr), test.hr);
  return { image, scores: compare(image, test.hr, test.scale) };
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

function checkSize(name: string, { width, height }: Size, scale: number): void {
  const least = scale * Math.ceil((SSIM_WINDOW + 2 * scale) / scale);
  if (Math.min(width, height) >= least) return;
  fail(`${name}: ${width}x${height} pixels are too few to be evaluated`, {
    notes: [
      `SSIM needs ${SSIM_WINDOW} pixels within a border of ${scale}, and sides are cut to multiples of ${scale}: ${least}x${least} at least`,
    ],
    help: 'leave this image out',
  });
}

function compare(image: Image, hr: Image, scale: number): Scores {
  return { psnr: psnrY(image, hr, scale), ssim: ssimY(image, hr, scale), psnrRgb: psnr(image, hr, scale) };
}

function rounded(planes: Planes, like: Image): Image {
  return fromPlanes({ rgb: planes }, like);
}
