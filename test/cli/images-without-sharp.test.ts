import { expect, test, vi } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { render, UserError } from '../../diagnostics.js';
import type { Image } from '../../formats/image.js';

vi.mock('sharp', () => {
  throw new Error('Could not load the "sharp" module');
});

const image: Image = { width: 1, height: 1, channels: 3, depth: 8, data: Uint8Array.of(1, 2, 3) };

test('PNG works', async () => {
  expect(await decodeImage('a.png', await encodeImage(image, 'png'))).toEqual(image);
});

test.each([
  ['a.jpg: reading JPEG', () => decodeImage('a.jpg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))],
  ['b.webp: writing WebP', () => encodeImage(image, 'webp', { name: 'b.webp' })],
])('%s says what to install', async (task, work) => {
  const error = await work().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  const text = render(error as UserError);
  expect(text).toContain(`${task} needs the optional package "sharp", which cannot be loaded`);
  expect(text).toContain('help: run `npm install sharp`, or use PNG');
});
