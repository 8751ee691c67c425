import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { orient, readExif } from '../../formats/exif.js';
import { checkSize, type Image, to8Bit } from '../../formats/image.js';
import { formatOf, outputFormat, sniff } from '../../formats/image-format.js';

describe('formats', () => {
  test('by extension', () => {
    expect(formatOf('a/b.c/photo.JPG')).toBe('jpeg');
    expect(formatOf('x.tif')).toBe('tiff');
    expect(formatOf('x.bmp')).toBeUndefined();
    expect(formatOf('constructor')).toBeUndefined();
    expect(formatOf('x.constructor')).toBeUndefined();
    expect(outputFormat('x.avif')).toBe('avif');
    expect(() => outputFormat('out.bmp')).toThrow(UserError);
  });

  test('by content', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1');
    expect(sniff(bytes('\x89PNG\r\n\x1a\n…'))).toBe('PNG');
    expect(sniff(bytes('RIFF\n\n\n\nWEBPVP8 '))).toBe('WebP');
    expect(sniff(bytes('\0\0\0\x20ftypavif'))).toBe('AVIF');
    expect(sniff(bytes('\0\0\0\x20ftypheic'))).toBe('HEIC');
    expect(sniff(bytes('MM\0*'))).toBe('TIFF');
    expect(sniff(bytes('\x89PNG'))).toBeUndefined();
    expect(sniff(bytes(''))).toBeUndefined();
    expect(sniff(bytes('<svg>'))).toBeUndefined();
  });
});

test('sizes', () => {
  expect(() => checkSize('a.png', 16384, 16384)).not.toThrow();
  expect(() => checkSize('a.png', 16384, 16385)).toThrow(/a\.png: the header says 16384x16385 pixels/);
  expect(() => checkSize('a.png', 0, 5)).toThrow(UserError);
});

test('16 bits to 8: nearest', () => {
  const wide: Image = {
    width: 4,
    height: 1,
    channels: 1,
    depth: 16,
    data: Uint16Array.of(0, 128, 129, 65535),
  };
  expect(to8Bit(wide)).toEqual({ ...wide, depth: 8, data: Uint8Array.of(0, 0, 1, 255) });
});

/** A TIFF directory with an orientation, and a resolution of 600/2 and 72/1 per inch. */
function exif(little: boolean, orientation: number): Uint8Array {
  const bytes = Buffer.alloc(80);
  const u16 = (value: number, at: number) =>
    little ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  bytes.write(little ? 'II' : 'MM', 0, 'latin1');
  u16(42, 2);
  u32(8, 4);
  u16(3, 8);
  const entry = (i: number, tag: number, type: number) => {
    u16(tag, 10 + 12 * i);
    u16(type, 12 + 12 * i);
    u32(1, 14 + 12 * i);
  };
  entry(0, 0x0112, 3);
  u16(orientation, 18);
  entry(1, 0x011a, 5);
  u32(50, 30);
  entry(2, 0x011b, 5);
  u32(58, 42);
  u32(600, 50);
  u32(2, 54);
  u32(72, 58);
  u32(1, 62);
  return bytes;
}

describe('EXIF', () => {
  test.each([true, false])('orientation and resolution (little endian: %s)', (little) => {
    const density = { x: 300 / 0.0254, y: 72 / 0.0254, unit: 'metre' };
    expect(readExif(exif(little, 6))).toEqual({ orientation: 6, density });
    expect(readExif(Buffer.concat([Buffer.from('Exif\0\0'), exif(little, 3)]))?.orientation).toBe(3);
  });

  test('what cannot be read says nothing', () => {
    expect(readExif(new Uint8Array())).toBeUndefined();
    expect(readExif(Buffer.from('II+\0\x08\0\0\0\x10\0', 'latin1'))).toBeUndefined();
    expect(readExif(Buffer.from('MM\0*\xff\xff\xff\xff', 'latin1'))).toBeUndefined();
    for (let length = 0; length < 80; length++)
      expect(() => readExif(exif(true, 6).subarray(0, length))).not.toThrow();
  });
});

describe('orientation', () => {
  // Stored as  a b c  and told by the EXIF standard where its row 0 and column 0 belong.
  //            d e f
  const stored: Image = { width: 3, height: 2, channels: 1, depth: 8, data: Buffer.from('abcdef') };

  test.each([
    [1, 'abc/def'],
    [2, 'cba/fed'],
    [3, 'fed/cba'],
    [4, 'def/abc'],
    [5, 'ad/be/cf'],
    [6, 'da/eb/fc'],
    [7, 'fc/eb/da'],
    [8, 'cf/be/ad'],
    [0, 'abc/def'],
    [9, 'abc/def'],
  ])('%i', (orientation, expected) => {
    const { width, data } = orient(stored, orientation);
    const rows = Buffer.from(data)
      .toString()
      .match(new RegExp(`.{${width}}`, 'g'));
    expect(rows?.join('/')).toBe(expected);
  });

  test('pixels stay whole and density turns with them', () => {
    const image: Image = {
      width: 2,
      height: 1,
      channels: 2,
      depth: 16,
      data: Uint16Array.of(1, 2, 3, 4),
      density: { x: 10, y: 20, unit: 'metre' },
    };
    expect(orient(image, 8)).toEqual({
      ...image,
      width: 1,
      height: 2,
      data: Uint16Array.of(3, 4, 1, 2),
      density: { x: 20, y: 10, unit: 'metre' },
    });
  });
});
