import { beforeEach, describe, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { psnr, psnrY, ssimY } from '../../formats/metrics.js';
import { fromPlanes, toPlanes } from '../../formats/pixels.js';
import { imresize, imresizeTo } from '../../formats/resize.js';
import { missingShared, sharedBytes } from '../shared.js';

beforeEach(({ skip }) => skip(missingShared !== undefined, missingShared));

describe.each(['astronaut', 'chelsea', 'coffee'])('%s.png', (name) => {
  const bytes = () => sharedBytes(`photos/val/${name}.png`);
  const open = () => decodeImage(name, bytes());

  test('decodes as libpng decodes it', async ({ skip }) => {
    const sharp = await import('sharp').catch(() => undefined);
    if (!sharp) return skip('photos against libpng: sharp is not installed');
    const { width, height, data } = await open();
    const reference = await sharp.default(bytes()).raw().toBuffer();
    expect(reference.equals(Uint8Array.from(data))).toBe(true);
    expect(data.length).toBe(width * height * 3);
  });

  test('survives planes and a new file unchanged', async () => {
    const image = await open();
    const again = await decodeImage('again', await encodeImage(fromPlanes(toPlanes(image), image), 'png'));
    expect(psnr(again, image)).toBe(Infinity);
    expect(again.icc).toEqual(image.icc);
  });

  test('bicubic there and back by 4 is where bicubic is in the literature', async () => {
    const image = await open();
    const small = imresize(toPlanes(image).rgb, 1 / 4);
    const back = fromPlanes({ rgb: imresizeTo(small, image.width, image.height) }, image);
    expect(psnrY(back, image, 4)).toBeGreaterThan(25);
    expect(psnrY(back, image, 4)).toBeLessThan(32);
    expect(psnrY(back, image, 4) - psnr(back, image, 4)).toBeGreaterThan(0.8);
    expect(ssimY(back, image, 4)).toBeGreaterThan(0.7);
  });
});
