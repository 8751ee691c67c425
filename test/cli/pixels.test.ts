// One image on its way: what is refused before the work, and what a result keeps of its input.

import { expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { decode, encode } from '../../cli/pixels.js';
import type { Image } from '../../formats/image.js';
import { imresizeTo } from '../../formats/resize.js';

const image: Image = {
  width: 300,
  height: 1,
  channels: 4,
  depth: 16,
  data: Uint16Array.from({ length: 1200 }, (_, i) => 50 * i),
  density: { x: 3000, y: 3000, unit: 'metre' },
};
const file = await encodeImage(image, 'png');

test.each([
  ['webp', 64, 'out: the result has 19200x64 pixels, webp holds 16383 a side'],
  ['jpeg', 2, 'which JPEG cannot hold'],
] as const)('%s x%d is refused before the work', async (format, scale, message) => {
  await expect(decode('in.png', file, { name: 'out', format, scale })).rejects.toThrow(message);
});

test('a result has the target size whatever the network made, and the depth, alpha and physical size', async () => {
  const target = { name: 'out', format: 'png', scale: 1.5 } as const;
  const decoded = await decode('in.png', file, target);
  const { bytes, width, height } = await encode(
    { ...decoded, rgb: imresizeTo(decoded.rgb, 1200, 4) },
    target,
  );
  const result = await decodeImage('out', bytes);
  expect({ width, height }).toEqual({ width: 450, height: 2 });
  expect(result).toMatchObject({
    ...{ width, height, channels: 4, depth: 16 },
    density: { x: 4500, unit: 'metre' },
  });
  const alpha = (of: Image, x: number) => of.data[4 * x + 3]!;
  expect(Math.abs(alpha(result, 225) - alpha(image, 150))).toBeLessThan(200);
});
