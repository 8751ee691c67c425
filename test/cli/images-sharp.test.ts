import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { render, UserError } from '../../diagnostics.js';
import { readExif } from '../../formats/exif.js';
import { type Channels, type Image, newSamples, to8Bit } from '../../formats/image.js';
import { formatOf, type ImageFormat } from '../../formats/image-format.js';
import { psnr } from '../../formats/metrics.js';
import { noise } from '../formats/png-fixture.js';

const sharp = await import('sharp').then(
  (module) => module.default,
  () => undefined,
);

/** Smooth, so that lossy formats come close; different along x and y, so that rotations show. */
function gradient(channels: Channels, depth: 8 | 16, width = 40, height = 24): Image {
  const data = newSamples(depth, width * height * channels);
  const white = 2 ** depth - 1;
  for (let i = 0; i < data.length; i++) {
    const c = i % channels;
    const x = Math.floor(i / channels) % width;
    const y = Math.floor(i / channels / width);
    data[i] = Math.round((white * (x / width + (y / height) * (c + 1))) / (channels + 1));
  }
  return { width, height, channels, depth, data };
}

async function message(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return render(error as UserError);
  }
  return expect.unreachable();
}

beforeEach(({ skip }) => skip(!sharp, 'JPEG, WebP, TIFF and AVIF: sharp is not installed'));

describe('through sharp', () => {
  const png = (image: Image) => encodeImage(image, 'png');
  const p3 = async () => {
    const file = sharp!({
      create: { width: 4, height: 4, channels: 3, background: '#123456' },
    }).withIccProfile('p3');
    return (await sharp!(await file.png().toBuffer()).metadata()).icc!;
  };

  const kinds = ([1, 2, 3, 4] as const).flatMap((channels) =>
    ([8, 16] as const).map((depth) => ({ channels, depth })),
  );

  test.each(kinds)('TIFF is exact: $channels channels of $depth bits', async ({ channels, depth }) => {
    const image = gradient(channels, depth);
    expect(await decodeImage('x', await encodeImage(image, 'tiff'))).toEqual(image);
  });

  test.each<[ImageFormat, Channels, Channels]>([
    ['jpeg', 1, 1],
    ['jpeg', 3, 3],
    ['webp', 1, 3],
    ['webp', 2, 4],
    ['webp', 3, 3],
    ['webp', 4, 4],
    ['avif', 1, 3],
    ['avif', 2, 4],
    ['avif', 3, 3],
    ['avif', 4, 4],
  ])('%s of %i channels comes back close, with %i', async (format, channels, back) => {
    const image = gradient(channels, 8);
    const decoded = await decodeImage('x', await encodeImage(image, format));
    expect([decoded.width, decoded.height, decoded.channels, decoded.depth]).toEqual([40, 24, back, 8]);
    expect(psnr(image, decoded)).toBeGreaterThan(38);
    const alpha = ({ data, channels: n }: Image) => data.filter((_, i) => n % 2 === 0 && i % n === n - 1);
    const differences = alpha(decoded).map((value, i) => Math.abs(value - alpha(image)[i]!));
    expect(Math.max(0, ...differences)).toBeLessThanOrEqual(2);
  });

  test.each(['jpeg', 'webp'] as const)('16 bits are rounded, not cut, for %s', async (format) => {
    const image = gradient(3, 16);
    expect(await encodeImage(image, format)).toEqual(await encodeImage(to8Bit(image), format));
  });

  test('AVIF keeps 12 bits, and white stays white', async () => {
    const image = gradient(3, 16);
    image.data.fill(65535, 0, 40 * 3 * 12);
    const decoded = await decodeImage('x', await encodeImage(image, 'avif', { quality: 100 }));
    expect(decoded.depth).toBe(16);
    expect(decoded.data[0]).toBe(65535);
    expect(psnr(image, decoded)).toBeGreaterThan(45);
  });

  test('quality is honoured', async () => {
    const image = gradient(3, 8);
    for (const format of ['jpeg', 'webp', 'avif'] as const) {
      const [low, high] = [
        await encodeImage(image, format, { quality: 10 }),
        await encodeImage(image, format),
      ];
      expect(low.length).toBeLessThan(high.length);
    }
  });

  test.each(['png', 'jpeg', 'webp', 'tiff', 'avif'] as const)(
    '%s keeps profile and physical size',
    async (format) => {
      const density = { x: 6000, y: 3000, unit: 'metre' } as const;
      const image: Image = { ...gradient(3, 8), icc: await p3(), density };
      const decoded = await decodeImage('x', await encodeImage(image, format));
      expect(Buffer.from(decoded.icc!)).toEqual(Buffer.from(image.icc!));
      expect(decoded.density?.x).toBeCloseTo(6000, 0);
      expect(decoded.density?.y).toBeCloseTo(3000, 0);
      expect(psnr(image, decoded)).toBeGreaterThan(38);
    },
  );

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'EXIF orientation %i of a JPEG, as sharp turns it',
    async (orientation) => {
      const { data } = gradient(3, 8);
      const raw = { raw: { width: 40, height: 24, channels: 3 } } as const;
      const jpeg = await sharp!(data, raw).jpeg({ quality: 100 }).withMetadata({ orientation }).toBuffer();
      const upright = await decodeImage('x', jpeg);
      const reference = await sharp!(jpeg).autoOrient().raw().toBuffer({ resolveWithObject: true });
      expect([upright.width, upright.height]).toEqual([reference.info.width, reference.info.height]);
      expect(Buffer.from(upright.data)).toEqual(reference.data);
      const again = await encodeImage({ ...upright, density: { x: 1, y: 1, unit: 'metre' } }, 'jpeg');
      const { exif, ...metadata } = await sharp!(again).metadata();
      expect(metadata.orientation ?? 1).toBe(1);
      expect(readExif(exif!)?.orientation).toBe(1);
    },
  );

  test('CMYK becomes sRGB without a profile', async () => {
    const red = sharp!({ create: { width: 8, height: 8, channels: 3, background: '#d02020' } });
    const jpeg = await red.toColourspace('cmyk').withIccProfile('cmyk').jpeg().toBuffer();
    expect(await sharp!(jpeg).metadata()).toMatchObject({ space: 'cmyk', hasProfile: true });
    const image = await decodeImage('x', jpeg);
    expect(image).toMatchObject({ channels: 3, depth: 8 });
    expect(image.icc).toBeUndefined();
    const [r, g, b] = image.data;
    expect(Math.abs(r! - 0xd0) + Math.abs(g! - 0x20) + Math.abs(b! - 0x20)).toBeLessThan(40);
  });

  test('the bytes count, not the name', async () => {
    const image = gradient(3, 8);
    expect(await decodeImage('photo.jpg', await png(image))).toEqual(image);
    expect((await decodeImage('photo.png', await encodeImage(image, 'webp'))).width).toBe(40);
    expect(formatOf('photo.png')).toBe('png');
  });

  test('animations and pages are refused, single frames are not', async () => {
    const frames = { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } } as const;
    const animation = sharp!(
      Uint8Array.from({ length: 96 }, (_, i) => noise(i, 0, 0)),
      frames,
    );
    for (const format of ['gif', 'webp'] as const) {
      const bytes = await animation.clone().toFormat(format).toBuffer();
      expect(await message(decodeImage('a.gif', bytes))).toContain('holds 2 pages or frames');
    }
    const still = await sharp!({ create: { width: 3, height: 2, channels: 4, background: '#ff000000' } })
      .gif()
      .toBuffer();
    expect(await decodeImage('a.gif', still)).toMatchObject({ width: 3, height: 2, channels: 4 });
  });

  test('floating point is refused', async () => {
    // One gray pixel of 32-bit floating point: tag, type, count and value of each entry.
    const entries = [
      [256, 3, 1, 1],
      [257, 3, 1, 1],
      [258, 3, 1, 32],
      [259, 3, 1, 1],
      [262, 3, 1, 1],
      [273, 4, 1, 98],
      [339, 3, 1, 3],
    ] as const;
    const tiff = Buffer.alloc(102);
    tiff.write('II*\0\x08\0\0\0\x07\0', 'latin1');
    for (const [i, [tag, type, count, value]] of entries.entries()) {
      tiff.writeUInt16LE(tag, 10 + 12 * i);
      tiff.writeUInt16LE(type, 12 + 12 * i);
      tiff.writeUInt32LE(count, 14 + 12 * i);
      tiff.writeUInt32LE(value, 18 + 12 * i);
    }
    tiff.writeFloatLE(0.5, 98);
    expect(await message(decodeImage('x.tif', tiff))).toContain('x.tif: TIFF with 1 float channels');
  });

  test('a JPEG that claims 65500x65500 pixels', async () => {
    const jpeg = Buffer.from(await encodeImage(gradient(3, 8), 'jpeg'));
    const frame = jpeg.findIndex(
      (byte, i) => byte === 0xff && (jpeg[i + 1]! & 0xfc) === 0xc0 && jpeg[i + 1] !== 0xc4,
    );
    jpeg.writeUInt16BE(65500, frame + 5);
    jpeg.writeUInt16BE(65500, frame + 7);
    expect(await message(decodeImage('b.jpg', jpeg))).toContain('b.jpg: the header says 65500x65500 pixels');
  });

  test('JPEG cannot hold transparency, WebP no long sides', async () => {
    expect(await message(encodeImage(gradient(4, 8), 'jpeg', { name: 'o.jpg' }))).toContain(
      'o.jpg: the image has trans',
    );
    const long = gradient(1, 8, 16384, 1);
    expect(await message(encodeImage(long, 'webp', { name: 'o.webp' }))).toContain(
      'o.webp: 16384x1 pixels cannot be',
    );
  });

  test('fuzzing: an image or a clear message', async () => {
    const image = gradient(3, 8);
    const formats = ['jpeg', 'webp', 'tiff', 'avif'] as const;
    const files = await Promise.all(formats.map((format) => encodeImage(image, format)));
    const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.tuple(share, fc.nat(255)), { maxLength: 4 }),
        fc.option(share, { nil: 1 }),
        async (file, changes, part) => {
          const bytes = Uint8Array.from(file.subarray(0, Math.ceil(file.length * part)));
          for (const [where, value] of changes) bytes[Math.floor(where * bytes.length)] = value;
          try {
            const { width, height, channels, data } = await decodeImage('fuzz', bytes);
            expect(data.length).toBe(width * height * channels);
          } catch (error) {
            if (!(error instanceof UserError)) throw error;
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
