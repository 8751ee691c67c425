import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { render, UserError } from '../../diagnostics.js';
import { type Channels, type Image, newSamples } from '../../formats/image.js';
import { readChunks } from '../../formats/png-chunks.js';
import {
  chunk,
  ihdr,
  KINDS,
  makePng,
  noise,
  noiseOfDepth,
  repairCrcs,
  SAMPLES_PER_PIXEL,
  SIGNATURE,
  scanlines,
} from '../formats/png-fixture.js';

const PALETTE = Array.from({ length: 256 * 3 }, (_, i) => noise(i, 1, 0) & 255);
const CHANNELS = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 } as const;

/** One PNG of each kind; palettes have as many colours as their indices can name. */
function fixture(kind: (typeof KINDS)[number], interlaced = false, width = 11, height = 9): Uint8Array {
  const palette = PALETTE.slice(0, 3 << kind.bitDepth);
  const extra = kind.colourType === 3 ? [chunk('PLTE', palette)] : [];
  return makePng({ ...kind, width, height, interlaced, extra }, noiseOfDepth(kind.bitDepth));
}

function expected(kind: (typeof KINDS)[number], width = 11, height = 9): number[] {
  const sample = noiseOfDepth(kind.bitDepth);
  const white = 2 ** kind.bitDepth - 1;
  const out: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (kind.colourType === 3) out.push(...PALETTE.slice(3 * sample(x, y, 0), 3 * sample(x, y, 0) + 3));
      else {
        for (let s = 0; s < SAMPLES_PER_PIXEL[kind.colourType]; s++) {
          out.push(kind.bitDepth < 8 ? (sample(x, y, s) * 255) / white : sample(x, y, s));
        }
      }
    }
  }
  return out;
}

async function refusal(bytes: Uint8Array): Promise<string> {
  try {
    await decodeImage('bad.png', bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const text = render(error as UserError);
    expect(text).toContain('bad.png: ');
    expect(text).toContain('help: ');
    return text;
  }
  return expect.unreachable();
}

describe('decoding', () => {
  describe.each([false, true])('interlaced: %s', (interlaced) => {
    test.each(KINDS)('colour type $colourType, $bitDepth bits', async (kind) => {
      const image = await decodeImage('x.png', fixture(kind, interlaced));
      expect([image.width, image.height, image.channels]).toEqual([11, 9, CHANNELS[kind.colourType]]);
      expect(image.depth).toBe(kind.bitDepth === 16 ? 16 : 8);
      expect(image.data.BYTES_PER_ELEMENT).toBe(image.depth / 8);
      expect([...image.data]).toEqual(expected(kind));
    });

    test.each([
      [1, 1],
      [2, 1],
      [1, 5],
      [4, 3],
    ])('%ix%i', async (width, height) => {
      const image = await decodeImage(
        'x.png',
        fixture({ colourType: 6, bitDepth: 16 }, interlaced, width, height),
      );
      expect([...image.data]).toEqual(expected({ colourType: 6, bitDepth: 16 }, width, height));
    });
  });

  test('tRNS becomes alpha: one gray, one colour, palette entries', async () => {
    const gray = makePng(
      { width: 4, height: 1, colourType: 0, bitDepth: 2, extra: [chunk('tRNS', [0, 2])] },
      (x) => x,
    );
    expect(await decodeImage('x', gray)).toMatchObject({ channels: 2, depth: 8 });
    expect([...(await decodeImage('x', gray)).data].filter((_, i) => i % 2)).toEqual([255, 255, 0, 255]);

    const wide = makePng(
      { width: 2, height: 1, colourType: 2, bitDepth: 16, extra: [chunk('tRNS', [1, 0, 1, 1, 1, 2])] },
      (x, _, s) => 256 + s + x,
    );
    expect([...(await decodeImage('x', wide)).data]).toEqual([0, 0, 0, 0, 257, 258, 259, 65535]);

    const palette = makePng(
      {
        width: 2,
        height: 1,
        colourType: 3,
        bitDepth: 1,
        extra: [chunk('PLTE', [1, 2, 3, 4, 5, 6]), chunk('tRNS', [7])],
      },
      (x) => x,
    );
    expect([...(await decodeImage('x', palette)).data]).toEqual([1, 2, 3, 7, 4, 5, 6, 255]);
  });

  test('eXIf rotation is honoured, and not written again', async () => {
    const exif = [
      ...Buffer.from('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0', 'latin1'),
    ];
    const extra = [chunk('eXIf', exif), chunk('pHYs', [0, 0, 0, 5, 0, 0, 0, 7, 1])];
    const png = makePng({ width: 3, height: 1, colourType: 0, bitDepth: 8, extra }, (x) => x);
    const image = await decodeImage('x', png);
    expect(image).toEqual({
      width: 1,
      height: 3,
      channels: 1,
      depth: 8,
      data: Uint8Array.of(0, 1, 2),
      density: { x: 7, y: 5, unit: 'metre' },
    });
    expect(await decodeImage('x', await encodeImage(image, 'png'))).toEqual(image);
  });

  test('anything may follow the image', async () => {
    const png = fixture({ colourType: 2, bitDepth: 8 });
    const trailed = Buffer.concat([png, Buffer.from('PK\x03\x04 and more')]);
    expect(await decodeImage('x', trailed)).toEqual(await decodeImage('x', png));
  });
});

describe('round trip', () => {
  const all = ([1, 2, 3, 4] as const).flatMap((channels) =>
    ([8, 16] as const).map((depth) => ({ channels, depth })),
  );

  test.each(all)('$channels channels of $depth bits, bit by bit', async ({ channels, depth }) => {
    const image = noiseImage(channels, depth, 13, 7);
    expect(await decodeImage('x', await encodeImage(image, 'png'))).toEqual(image);
  });

  test('samples that are a window of a larger buffer', async () => {
    const { data, ...rest } = noiseImage(3, 16, 13, 7);
    const larger = new Uint16Array(data.length + 10);
    larger.set(data, 3);
    const image = { ...rest, data: larger.subarray(3, 3 + data.length) };
    expect(await decodeImage('x', await encodeImage(image, 'png'))).toEqual({ ...rest, data });
  });

  test('profile, colour chunks and physical size', async () => {
    const image: Image = {
      ...noiseImage(2, 8, 3, 2),
      icc: Uint8Array.from({ length: 9000 }, (_, i) => noise(i, 0, 0) & 255),
      density: { x: 11811.02, y: 5906, unit: 'metre' },
      colourChunks: [
        { type: 'gAMA', data: Uint8Array.of(0, 0, 0xb1, 0x8f) },
        { type: 'sRGB', data: Uint8Array.of(1) },
      ],
    };
    const png = await encodeImage(image, 'png');
    expect(await decodeImage('x', png)).toEqual({ ...image, density: { x: 11811, y: 5906, unit: 'metre' } });
    const types = readChunks('x', png).chunks.map(({ type }) => type);
    expect(types).toEqual(['IHDR', 'iCCP', 'gAMA', 'sRGB', 'pHYs', 'IDAT', 'IEND']);
  });

  test('density stops at the largest number PNG can hold', async () => {
    const image: Image = { ...noiseImage(1, 8, 1, 1), density: { x: 2 ** 33, y: 1, unit: 'metre' } };
    expect((await decodeImage('x', await encodeImage(image, 'png'))).density?.x).toBe(2 ** 31 - 1);
  });
});

describe('bad input is refused by name, with a way out', () => {
  const spec = { width: 8, height: 8, colourType: 2, bitDepth: 8 } as const;
  const good = makePng(spec, noiseOfDepth(8));
  const pixels = chunk('IDAT', deflateSync(scanlines(spec, noiseOfDepth(8))));
  const join = (...parts: Uint8Array[]) => Buffer.concat([SIGNATURE, ...parts]);
  const end = chunk('IEND');
  const withExtra = (...extra: Uint8Array[]) => join(ihdr(spec), ...extra, pixels, end);
  const header = (change: object) => join(ihdr({ ...spec, ...change }), pixels, end);
  const damaged = Uint8Array.from(good);
  damaged[60]! ^= 1;

  test.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(), 'the file is empty'],
    ['text', Buffer.from('hello, world'), 'not an image that can be read'],
    ['a damaged byte', damaged, 'chunk IDAT at byte 33 has CRC'],
    ['only the signature', SIGNATURE, 'without an IEND chunk'],
    ['half of the file', good.subarray(0, good.length >> 1), 'chunk IDAT at byte 33 announces'],
    ['no IEND', good.subarray(0, good.length - 12), 'without an IEND chunk'],
    ['no IDAT', join(ihdr(spec), end), 'no IDAT chunk'],
    ['no IHDR', join(pixels, end), 'it starts with a IDAT chunk'],
    ['two IHDR', join(ihdr(spec), ihdr({ ...spec, width: 9 }), pixels, end), 'it has 2 IHDR chunks'],
    ['no width', header({ width: 0 }), 'the image is empty: its header says 0x8'],
    ['30000x30000', header({ width: 30000, height: 30000 }), 'the header says 30000x30000 pixels'],
    [
      '16000x16000 in 200 bytes',
      header({ width: 16000, height: 16000 }),
      '16000x16000 pixels cannot come out of',
    ],
    ['2^31 pixels a side', header({ width: 2 ** 31, height: 1 }), 'the header says 2147483648x1 pixels'],
    ['4 million pixels a side', header({ width: 2 ** 22, height: 1 }), 'no side may be longer than 1048576'],
    ['colour type 5', header({ colourType: 5 }), 'colour type 5 with 8 bits per sample does not exist'],
    ['RGB of 4 bits', header({ bitDepth: 4 }), 'colour type 2 with 4 bits per sample does not exist'],
    ['too few pixels', header({ height: 9 }), 'its pixel data inflates to 200 bytes, 8x9 pixels need 225'],
    [
      'too many pixels',
      header({ height: 7 }),
      'its pixel data inflates to more than the 175 bytes of 8x7 pixels',
    ],
    ['palette image without palette', header({ colourType: 3 }), 'without a palette'],
    ['half a colour', withExtra(chunk('PLTE', [1, 2, 3, 4])), 'its palette has 4 bytes'],
    ['short tRNS', withExtra(chunk('tRNS', [1])), 'its tRNS chunk has 1 bytes instead of 6'],
    ['short gAMA', withExtra(chunk('gAMA', [1])), 'chunk gAMA has 1 bytes instead of 4'],
    ['short pHYs', withExtra(chunk('pHYs', [1])), 'chunk pHYs has 1 bytes instead of 9'],
    ['unknown critical chunk', withExtra(chunk('CgBI', [0])), 'needs the chunk type CgBI'],
    ['animation', withExtra(chunk('acTL', [0, 0, 0, 2, 0, 0, 0, 0])), 'animated PNG'],
    [
      'scattered IDAT',
      join(ihdr(spec), pixels, chunk('tEXt', [65, 0]), pixels, end),
      'not next to each other',
    ],
    [
      'late palette',
      join(ihdr(spec), pixels, chunk('PLTE', [1, 2, 3]), end),
      'PLTE chunk comes after the pixels',
    ],
    ['profile that is not zlib', withExtra(chunk('iCCP', [65, 0, 0, 1, 2, 3, 4])), 'colour profile'],
    ['profile without data', withExtra(chunk('iCCP', [65])), 'colour profile'],
    ['pixels that are not zlib', join(ihdr(spec), chunk('IDAT', [1, 2, 3, 4]), end), 'the PNG is broken'],
    ['filter 9', join(ihdr(spec), chunk('IDAT', deflateSync(Buffer.alloc(200, 9))), end), 'filter type - 9'],
  ])('%s', async (_, bytes, message) => {
    expect(await refusal(bytes)).toContain(message);
  });

  test('a profile that inflates without end', async () => {
    const bomb = Buffer.concat([Buffer.from('A\0\0'), deflateSync(Buffer.alloc(2 ** 26))]);
    expect(await refusal(withExtra(chunk('iCCP', bomb)))).toContain('inflates to more than 16777216 bytes');
  });

  test('compressed text is never inflated', async () => {
    const bomb = Buffer.concat([Buffer.from('A\0\0'), deflateSync(Buffer.alloc(2 ** 26))]);
    expect(await decodeImage('x', withExtra(chunk('zTXt', bomb)))).toEqual(await decodeImage('x', good));
  });

  test.each([false, true])('pixels that inflate beyond the image (interlaced: %s)', async (interlaced) => {
    const bomb = join(ihdr({ ...spec, interlaced }), chunk('IDAT', deflateSync(Buffer.alloc(2 ** 27))), end);
    const before = process.memoryUsage().rss;
    expect(await refusal(bomb)).toContain('inflates to more than');
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 26);
  });

  test('a million chunks of nothing', async () => {
    const bytes = join(ihdr(spec), Buffer.concat(Array(2 ** 20).fill(chunk('teSt'))), pixels, end);
    expect(await refusal(bytes)).toContain('more than 1048576 chunks');
  });
});

describe('fuzzing: an image or a clear message, whatever comes', () => {
  const valid = KINDS.flatMap((kind) => [fixture(kind, false), fixture(kind, true)]);

  async function survive(bytes: Uint8Array): Promise<void> {
    try {
      const { width, height, channels, data } = await decodeImage('fuzz.png', bytes);
      expect(data.length).toBe(width * height * channels);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }

  const edits = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)),
    {
      minLength: 1,
      maxLength: 6,
    },
  );

  test('changed bytes under correct CRCs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...valid), edits, async (png, changes) => {
        const bytes = Uint8Array.from(png);
        for (const [where, value] of changes) bytes[8 + Math.floor(where * (bytes.length - 8))] = value;
        await survive(repairCrcs(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  test('changed headers under correct CRCs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.integer({ min: 16, max: 28 }), fc.nat(17)), { minLength: 1, maxLength: 3 }),
        async (png, changes) => {
          const bytes = Uint8Array.from(png);
          for (const [at, value] of changes) bytes[at] = value;
          await survive(repairCrcs(bytes));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('cut short', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...valid),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (png, part) => {
          const bytes = png.subarray(0, Math.floor(part * (png.length - 1)));
          await refusal(bytes);
          await survive(Buffer.concat([repairCrcs(bytes), chunk('IEND')]));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('pixel data of any content', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...KINDS),
        fc.boolean(),
        fc.uint8Array({ maxLength: 400 }),
        async (kind, interlaced, data) => {
          const parts = [ihdr({ ...kind, width: 5, height: 5, interlaced }), chunk('PLTE', PALETTE)];
          await survive(
            Buffer.concat([SIGNATURE, ...parts, chunk('IDAT', deflateSync(data)), chunk('IEND')]),
          );
          await survive(
            Buffer.concat([SIGNATURE, parts[0]!, chunk('IDAT', deflateSync(data)), chunk('IEND')]),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('chunks in any order and number', async () => {
    const spec = { width: 3, height: 2, colourType: 3, bitDepth: 8 } as const;
    const pool = [
      chunk('PLTE', PALETTE),
      chunk('tRNS', [1, 2]),
      chunk('IDAT', deflateSync(scanlines(spec, (x) => x))),
      chunk('gAMA', [0, 0, 1, 1]),
      chunk('eXIf', [77, 77]),
      chunk('iCCP', [65, 0, 0, ...deflateSync(Buffer.from('profile'))]),
      ihdr(spec),
    ];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...pool), { maxLength: 8 }), async (chunks) => {
        await survive(Buffer.concat([SIGNATURE, ihdr(spec), ...chunks, chunk('IEND')]));
      }),
      { numRuns: 500 },
    );
  });
});

function noiseImage(channels: Channels, depth: 8 | 16, width: number, height: number): Image {
  const data = newSamples(depth, width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = noise(i, channels, depth) >>> (32 - depth);
  return { width, height, channels, depth, data };
}
