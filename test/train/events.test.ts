// Event files, read by a decoder that knows protobuf and TFRecord but nothing of the encoder.

import { expect, test } from 'vitest';
import { crc32c } from '../../train/crc32c.js';
import { openEvents, pictureEvent, scalarEvent } from '../../train/events.js';

const ascii = (text: string) => new TextEncoder().encode(text);

test('the check values of CRC-32C', () => {
  expect(crc32c(ascii('123456789'))).toBe(0xe3069283);
  // RFC 3720, B.4
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
});

type Message = Map<number, (number | bigint | Uint8Array)[]>;

/** Field numbers to values: numbers of 32 and 64 bits as floats, varints as bigints. */
function decode(bytes: Uint8Array): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Message = new Map();
  let at = 0;
  /** Where the next so many bytes begin. */
  const take = (length: number) => {
    at += length;
    return at - length;
  };
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(bytes[take(1)]!);
      value |= (byte & 127n) << shift;
      if (byte < 128n) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const read = [
      () => varint(),
      () => view.getFloat64(take(8), true),
      () => {
        const length = Number(varint());
        const start = take(length);
        return bytes.subarray(start, at);
      },
      undefined,
      undefined,
      () => view.getFloat32(take(4), true),
    ][key & 7]!;
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), read()]);
  }
  expect(at).toBe(bytes.length);
  return fields;
}

function records(file: Uint8Array): Message[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const masked = (from: number, to: number) => {
    const crc = BigInt(crc32c(file.subarray(from, to)));
    const rotated = ((crc >> 15n) | (crc << 17n)) & 0xffffffffn;
    return Number((rotated + 0xa282ead8n) & 0xffffffffn);
  };
  const found: Message[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(masked(at, at + 8));
    expect(view.getUint32(at + 12 + length, true)).toBe(masked(at + 12, at + 12 + length));
    found.push(decode(file.subarray(at + 12, at + 12 + length)));
    at += 16 + length;
  }
  return found;
}

const bytesIn = (message: Message, field: number) => message.get(field)!.map((value) => value as Uint8Array);
const textIn = (message: Message, field: number) => new TextDecoder().decode(bytesIn(message, field)[0]);

test('a file begins as TensorFlow begins it', () => {
  const file = openEvents({ time: 1_700_000_000.25, step: 40 });
  // The length 24 and its masked checksum, as every event file in the world has them.
  expect([...file.subarray(0, 12)]).toEqual([24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
  const [version, start] = records(file);
  expect(version!.get(1)).toEqual([1_700_000_000.25]);
  expect(textIn(version!, 3)).toBe('brain.Event:2');
  expect(start!.get(2)).toEqual([41n]);
  expect(decode(bytesIn(start!, 7)[0]!).get(1)).toEqual([1n]);
});

test('scalars', () => {
  const step = 2 ** 40 + 300;
  const [event, more] = records(
    scalarEvent({ time: 5, step }, [
      ['loss/total', 0.25],
      ['loss/0.1 × mse', -3],
    ]),
  );
  expect(more).toBeUndefined();
  expect(event!.get(1)).toEqual([5]);
  expect(event!.get(2)).toEqual([BigInt(step)]);
  const values = bytesIn(decode(bytesIn(event!, 5)[0]!), 1).map(decode);
  expect(values.map((value) => [textIn(value, 1), ...value.get(2)!])).toEqual([
    ['loss/total', 0.25],
    ['loss/0.1 × mse', -3],
  ]);
});

test('pictures', () => {
  const png = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  const [event] = records(pictureEvent({ time: 5, step: 7 }, 'samples', { width: 300, height: 20, png }));
  const [value] = bytesIn(decode(bytesIn(event!, 5)[0]!), 1).map(decode);
  expect(textIn(value!, 1)).toBe('samples');
  const image = decode(bytesIn(value!, 4)[0]!);
  expect([image.get(1), image.get(2), image.get(3)]).toEqual([[20n], [300n], [3n]]);
  expect(bytesIn(image, 4)[0]).toEqual(png);
});
