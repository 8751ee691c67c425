// Batches out of pictures whose pixels say where they are: which patches are seen, that inputs belong to originals, and
// that a batch depends on nothing but its number.

import { describe, expect, test } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import { realesrgan } from '../../dsl/degradations.js';
import { orient } from '../../formats/exif.js';
import { type Image, newSamples, type Samples } from '../../formats/image.js';
import { toPlanes } from '../../formats/pixels.js';
import type { Batch, BatchSource } from '../../train/batch.js';
import { type BatchOptions, batchSource } from '../../train/data/batches.js';
import { cached } from '../../train/data/cache.js';
import { type ImageSource, largeEnough } from '../../train/data/images.js';
import { sampleOrder } from '../../train/data/order.js';
import { prefetch } from '../../train/data/prefetch.js';
import { crop, cropToMultiple, padTo, rgb8, shrink } from '../../train/data/rgb.js';
import { copySizes, subImages } from '../../train/data/subimages.js';
import { sharpen } from '../../train/data/usm.js';
import { randomFor } from '../../train/random.js';

/** Red is the column, green the row, blue the image's number. */
function map(width: number, height: number, number: number): Image {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) data.set([i % width, Math.floor(i / width), number], 3 * i);
  return { width, height, channels: 3, depth: 8, data };
}

const MAPS = [map(96, 64, 0), map(50, 61, 1), map(33, 130, 2)];

interface Counted extends ImageSource {
  readonly loads: number[];
}

function sourceOf(images: readonly Image[], reduced?: readonly Image[]): Counted {
  const loads: number[] = [];
  return {
    images: images.map(({ width, height }, i) => ({ name: `${i}.png`, width, height })),
    loads,
    async load(i) {
      loads.push(i);
      return images[i]!;
    },
    ...(reduced && { loadReduced: async (i: number) => reduced[i]! }),
  };
}

const OPTIONS: BatchOptions = {
  seed: 3,
  stage: 'psnr',
  batch: 4,
  patch: 16,
  augment: [],
  degrade: { kind: 'bicubic', factor: 4 },
  usm: false,
  cacheBytes: 2 ** 20,
};

/** Samples in 8-bit steps. */
function samples({ hr, lr }: Batch, patch: number, scale: number): { hr: Image; lr: Image }[] {
  const images = (values: Float32Array, side: number) =>
    Array.from({ length: values.length / (4 * side * side) }, (_, s): Image => {
      const data = new Uint8Array(3 * side * side);
      for (let i = 0; i < side * side; i++) {
        const from = 4 * (s * side * side + i);
        for (let c = 0; c < 3; c++) data[3 * i + c] = Math.round(255 * values[from + c]!);
      }
      return { width: side, height: side, channels: 3, depth: 8, data };
    });
  const small = images(lr, patch / scale);
  return images(hr, patch).map((one, i) => ({ hr: one, lr: small[i]! }));
}

async function take(source: BatchSource, count: number, patch = 16, scale = 4) {
  const all: { hr: Image; lr: Image }[] = [];
  for (let k = 0; k < count; k++) all.push(...samples(await source.batch(k), patch, scale));
  return all;
}

describe('aligned patches', () => {
  test('are places of the pictures, in the layout of the device', async () => {
    const batch = await batchSource(sourceOf(MAPS), OPTIONS).batch(0);
    expect(batch.hr.length).toBe(4 * 16 * 16 * 4);
    expect(batch.lr.length).toBe(4 * 4 * 4 * 4);
    expect(batch.hr.every((value, i) => i % 4 < 3 || value === 0)).toBe(true);
    expect(batch.usm).toBeUndefined();
    for (const { hr, lr } of await take(batchSource(sourceOf(MAPS), OPTIONS), 10)) {
      const [x, y, number] = hr.data as unknown as [number, number, number];
      const picture = MAPS[number]!;
      expect(hr).toEqual(crop(picture, { x, y, width: 16, height: 16 }));
      // The input is a crop of the whole picture's reduction, and lies on its grid.
      expect([x % 4, y % 4]).toEqual([0, 0]);
      const small = shrink(cropToMultiple(picture, 4), 4);
      expect(lr).toEqual(crop(small, { x: x / 4, y: y / 4, width: 4, height: 4 }));
    }
  });

  test('reach every place', async () => {
    const source = batchSource(sourceOf([map(24, 20, 0)]), { ...OPTIONS, batch: 50 });
    const places = (await take(source, 2)).map(({ hr }) => `${hr.data[0]},${hr.data[1]}`);
    expect(new Set(places)).toEqual(new Set(['0,0', '4,0', '8,0', '0,4', '4,4', '8,4']));
  });

  test.each([
    [['flip'], 2],
    [['rot90'], 4],
    [['flip', 'rot90'], 8],
  ] as const)('augmented by %j, have %i orientations', async (augment, count) => {
    const picture = map(64, 48, 0);
    const small = shrink(picture, 4);
    const source = batchSource(sourceOf([picture]), { ...OPTIONS, augment, batch: 40 });
    const seen = new Set<number>();
    for (const { hr, lr } of await take(source, 2)) {
      const columns = hr.data.filter((_, i) => i % 3 === 0);
      const rows = hr.data.filter((_, i) => i % 3 === 1);
      const [x, y] = [Math.min(...columns), Math.min(...rows)];
      const whole = crop(picture, { x, y, width: 16, height: 16 });
      const input = crop(small, { x: x / 4, y: y / 4, width: 4, height: 4 });
      const orientation = [1, 2, 3, 4, 5, 6, 7, 8].find(
        (o) => orient(whole, o).data.join() === hr.data.join(),
      )!;
      seen.add(orientation);
      expect(lr).toEqual(orient(input, orientation));
    }
    expect(seen.size).toBe(count);
    if (count === 2) expect(seen).toEqual(new Set([1, 2]));
  });

  test('reduce to their inputs, but for the borders that the whole picture shows and they do not', async () => {
    const picture = map(61, 53, 0);
    const random = randomFor(9);
    for (let i = 0; i < picture.data.length; i++) picture.data[i] = random.below(256);
    const augment = ['flip', 'rot90'] as const;
    for (const { hr, lr } of await take(
      batchSource(sourceOf([picture]), { ...OPTIONS, patch: 32, augment }),
      3,
      32,
    )) {
      const inner = { x: 2, y: 2, width: 4, height: 4 };
      expect(crop(shrink(hr, 4), inner)).toEqual(crop(lr, inner));
    }
  });

  test('have sharpened originals where they are asked for', async () => {
    const { hr, usm } = await batchSource(sourceOf(MAPS), { ...OPTIONS, usm: true }).batch(2);
    const [first] = samples({ hr, lr: new Float32Array(4 * 16 * 4) }, 16, 4);
    const sharp = sharpen(toPlanes(first!.hr).rgb).data;
    for (let i = 0; i < 256; i++) {
      expect([...usm!.slice(4 * i, 4 * i + 4)]).toEqual([sharp[i], sharp[256 + i], sharp[512 + i], 0]);
    }
  });

  test('given reduced pictures are taken as they are', async () => {
    const reduced = MAPS.map(({ width, height }, i) => map(Math.floor(width / 4), Math.floor(height / 4), i));
    const paired = batchSource(sourceOf(MAPS, reduced), { ...OPTIONS, degrade: realesrgan(4) });
    for (const { hr, lr } of await take(paired, 5)) {
      expect([lr.data[0]! * 4, lr.data[1]! * 4, lr.data[2]]).toEqual([...hr.data.slice(0, 3)]);
    }
  });
});

function correlation({ data: a }: Image, { data: b }: Image): number {
  const mean = (values: Samples) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [da, db] = [a[i]! - meanA, b[i]! - meanB];
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('degraded patches', () => {
  const options = { ...OPTIONS, degrade: realesrgan(4), augment: ['flip', 'rot90'] as const, batch: 2 };

  test('belong to their originals', async () => {
    // A chessboard: another place, or another orientation, is another pattern.
    const picture = map(230, 210, 0);
    for (let i = 0; i < picture.data.length; i++) {
      const [x, y] = [Math.floor(i / 3) % 230, Math.floor(i / 3 / 230)];
      picture.data[i] = (Math.floor(x / 40) + Math.floor(y / 24)) % 2 ? 220 : 30;
    }
    const all = await take(batchSource(sourceOf([picture]), { ...options, patch: 64 }), 4, 64);
    for (const { hr, lr } of all) expect(correlation(shrink(hr, 4), lr)).toBeGreaterThan(0.7);
    expect(new Set(all.map(({ hr }) => hr.data.join())).size).toBe(8);
  });

  test('come from pictures smaller than the window, too', async () => {
    const [first] = await take(batchSource(sourceOf([map(20, 24, 0)]), options), 1);
    expect(first!.hr.width).toBe(16);
  });
});

describe('a batch is a function of its number', () => {
  test.each(['bicubic', 'realesrgan'] as const)('%s', async (kind) => {
    const options: BatchOptions = {
      ...OPTIONS,
      batch: 2,
      augment: ['flip', 'rot90'],
      degrade: kind === 'bicubic' ? { kind, factor: 4 } : realesrgan(4),
    };
    const source = batchSource(sourceOf(MAPS), options);
    const forwards = [await source.batch(0), await source.batch(1), await source.batch(7)];
    // Another order, at the same time, with hardly any cache.
    const other = batchSource(sourceOf(MAPS), { ...options, cacheBytes: 1 });
    const [seven, one, zero] = await Promise.all([other.batch(7), other.batch(1), other.batch(0)]);
    expect([zero, one, seven]).toEqual(forwards);
    expect(forwards[0]).not.toEqual(forwards[1]);
    for (const change of [{ seed: 4 }, { stage: 'gan' }]) {
      const different = batchSource(sourceOf(MAPS), { ...options, ...change });
      expect((await different.batch(0)).hr).not.toEqual(forwards[0]!.hr);
    }
  });
});

test('an epoch shows each picture as often as patches fit into it, in an order of its own', () => {
  const order = sampleOrder(MAPS, 16, 1, 'psnr');
  const epoch = (e: number) => Array.from({ length: 24 + 9 + 16 }, (_, i) => order(e * 49 + i));
  const count = (images: number[]) => [0, 1, 2].map((image) => images.filter((i) => i === image).length);
  expect(count(epoch(0))).toEqual([24, 9, 16]);
  expect(count(epoch(5))).toEqual([24, 9, 16]);
  expect(epoch(0)).not.toEqual(epoch(5));
  expect(epoch(0)).toEqual(epoch(0));
});

describe('what is loaded', () => {
  test('is loaded once while it fits', async () => {
    const source = sourceOf(MAPS);
    await take(batchSource(source, OPTIONS), 10);
    expect(source.loads.sort()).toEqual([0, 1, 2]);
  });

  test('leaves when there is no room, the least recently used first', async () => {
    const made: number[] = [];
    const get = cached(
      async (key) => {
        made.push(key);
        return key;
      },
      () => 10,
      20,
    );
    for (const key of [1, 2, 1, 3, 1, 2]) expect(await get(key)).toBe(key);
    expect(made).toEqual([1, 2, 3, 2]);
  });

  test('is tried again when it failed', async () => {
    let fails = true;
    const get = cached(
      async () => {
        if (fails) throw new Error('busy');
        return 5;
      },
      () => 1,
      10,
    );
    await expect(get(0)).rejects.toThrow('busy');
    fails = false;
    expect(await get(0)).toBe(5);
  });
});

describe('prefetching', () => {
  const batch: Batch = { lr: new Float32Array(0), hr: new Float32Array(0) };

  test('keeps so many batches ahead, and no more', async () => {
    const asked: number[] = [];
    const source = prefetch(
      {
        async batch(k) {
          asked.push(k);
          return batch;
        },
      },
      2,
    );
    await source.batch(10);
    expect(asked).toEqual([10, 11, 12]);
    await source.batch(11);
    expect(asked).toEqual([10, 11, 12, 13]);
    await source.batch(40);
    expect(asked).toEqual([10, 11, 12, 13, 40, 41, 42]);
    await source.batch(11);
    expect(asked.slice(7)).toEqual([11, 12, 13]);
  });

  test('an error is told when its batch is asked for', async () => {
    const source = prefetch({ batch: async (k) => (k === 1 ? Promise.reject(new Error('torn')) : batch) }, 2);
    await source.batch(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(source.batch(1)).rejects.toThrow('torn');
  });
});

describe('pictures', () => {
  test.each([
    [1, 8, [7], [7, 7, 7]],
    [2, 8, [7, 0], [7, 7, 7]],
    [3, 8, [1, 2, 3], [1, 2, 3]],
    [4, 8, [1, 2, 3, 0], [1, 2, 3]],
    [3, 16, [65535, 257, 300], [255, 1, 1]],
  ] as const)('of %i channels and %i bits become RGB of 8', (channels, depth, pixel, expected) => {
    const data = newSamples(depth, channels);
    data.set(pixel);
    expect([...rgb8({ width: 1, height: 1, channels, depth, data }).data]).toEqual(expected);
  });

  test('are padded by mirroring', () => {
    const padded = padTo(map(3, 2, 9), { width: 6, height: 2 });
    expect(padded.width).toBe(6);
    expect([...padded.data.filter((_, i) => i % 3 === 0)]).toEqual([0, 1, 2, 1, 0, 1, 0, 1, 2, 1, 0, 1]);
    const large = map(7, 7, 0);
    expect(padTo(large, { width: 6, height: 7 })).toBe(large);
  });

  test('sub-images follow BasicSR: the last row and column are aligned to the end', () => {
    const grid = { side: 480, step: 240 };
    const areas = subImages({ width: 1000, height: 480 }, grid);
    expect(areas.map(({ x, y }) => [x, y])).toEqual([
      [0, 0],
      [240, 0],
      [480, 0],
      [520, 0],
    ]);
    expect(subImages({ width: 720, height: 720 }, grid)).toHaveLength(4);
    expect(subImages({ width: 479, height: 2000 }, grid)).toEqual([]);
  });

  test('smaller copies', () => {
    expect(copySizes({ width: 1200, height: 900 })).toEqual([
      { width: 900, height: 675 },
      { width: 600, height: 450 },
      { width: 400, height: 300 },
      { width: 533, height: 400 },
    ]);
    expect(copySizes({ width: 300, height: 400 })).toHaveLength(3);
  });
});

describe('messages', () => {
  const message = async (work: () => unknown) => {
    const error = await Promise.resolve()
      .then(work)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    return render(error as UserError);
  };
  const size = (name: string, width: number, height: number) => ({ name, width, height });

  test('no image is as large as a patch', async () => {
    expect(await message(() => largeEnough([size('a.png', 40, 90), size('b.png', 90, 63)], 64))).toBe(
      `error: all 2 images are smaller than a patch of 64x64
  = a.png (40x90), b.png (90x63)
  = help: write a smaller \`patch\` in the recipe, or use larger images
`,
    );
  });

  test('some are: they are left out, with a note', () => {
    const small = Array.from({ length: 10 }, (_, i) => size(`${i}.png`, 63, 64));
    const large = size('large.png', 64, 64);
    expect(largeEnough([large, ...small], 64)).toEqual({
      images: [large],
      note:
        '10 images are left out, smaller than a patch of 64x64: 0.png (63x64), 1.png (63x64), 2.png (63x64), ' +
        '3.png (63x64), 4.png (63x64), 5.png (63x64), 6.png (63x64), 7.png (63x64) and 2 more',
    });
    expect(largeEnough([large], 64)).toEqual({ images: [large] });
  });

  test('an image that changed', async () => {
    const source = { ...sourceOf([MAPS[0]!]), load: async () => MAPS[1]! };
    expect(await message(() => batchSource(source, OPTIONS).batch(0))).toContain(
      'error: 0.png: the image has 50x61 pixels, it had 96x64 before\n',
    );
  });

  test('a reduced image of another size', async () => {
    const source = sourceOf([MAPS[0]!], [map(20, 16, 0)]);
    expect(await message(() => batchSource(source, OPTIONS).batch(0))).toBe(
      `error: the reduced version of 0.png: this is not 1/4 of its original
  = it has 20x16 pixels; 0.png has 96x64, 1/4 of that is 24x16
  = help: make it again from its original (\`src prepare\` does), or choose another --data-lr
`,
    );
  });
});
