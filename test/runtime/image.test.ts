// Images on their way to the device: channels last, mirrored beyond the right and bottom border up to the plan's alignment.

import { expect, test } from 'vitest';
import { cutOut, deinterleave, interleave, pasteIn } from '../../runtime/image.js';

const whole = (width: number, height: number) => ({ top: 0, bottom: height, left: 0, right: width });

test('reflects right and bottom without repeating the edge, and the way back takes it off', () => {
  const image = {
    width: 3,
    height: 2,
    data: Float32Array.of(0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112),
  };
  const padded = interleave(image, 2, whole(4, 4), 4);
  const channel = (c: number) => Array.from({ length: 16 }, (_, i) => padded[4 * i + c]);
  const first = [0, 1, 2, 1, 10, 11, 12, 11, 0, 1, 2, 1, 10, 11, 12, 11];
  expect(channel(0)).toEqual(first);
  expect(channel(1)).toEqual(first.map((value) => value + 100));
  expect(channel(2)).toEqual(Array(16).fill(0));

  const back = { ...image, data: new Float32Array(12) };
  deinterleave(padded, { columns: 4, stride: 4, skip: 0 }, back, whole(4, 4));
  expect(back.data).toEqual(image.data);
});

test('images smaller than what they lack', () => {
  const row = interleave({ width: 2, height: 1, data: Float32Array.of(1, 2) }, 1, whole(4, 1), 4);
  expect([0, 4, 8, 12].map((i) => row[i])).toEqual([1, 2, 1, 2]);
  const dot = interleave({ width: 1, height: 1, data: Float32Array.of(5) }, 1, whole(4, 4), 4);
  expect(dot.filter((_, i) => i % 4 === 0)).toEqual(new Float32Array(16).fill(5));
});

test('planes: cut out and pasted in, mirrored and cropped in the same way', () => {
  const image = {
    width: 3,
    height: 2,
    data: Float32Array.of(0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112),
  };
  const region = { top: 1, bottom: 4, left: 1, right: 5 };
  const first = [11, 12, 11, 10, 1, 2, 1, 0, 11, 12, 11, 10];
  const planes = cutOut(image, region);
  expect([...planes]).toEqual([...first, ...first.map((value) => value + 100)]);
  expect(cutOut(image, whole(3, 2))).toBe(image.data);

  const back = { ...image, data: new Float32Array(12) };
  pasteIn(planes, region, { ...region, left: 2 }, back);
  expect([...back.data]).toEqual([0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 112]);
  pasteIn(planes, region, { ...region, left: 1, right: 0 }, back);
  expect([...back.data]).toEqual([0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 112]);
});
