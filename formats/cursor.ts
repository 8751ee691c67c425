// Reads little-endian values from a file's bytes, one after another. Every read is checked against the end, so a
// truncated or hostile file ends in a `UserError` that names the file, never in a RangeError or an endless loop.

import { fail } from '../diagnostics.js';

export class Cursor {
  readonly name: string;
  readonly bytes: Uint8Array;
  position: number;
  readonly #view: DataView;

  constructor(name: string, bytes: Uint8Array, position = 0) {
    this.name = name;
    this.bytes = bytes;
    this.position = position;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** A 64-bit length or offset. What does not fit 2^53 is past the end of any file. */
  u64(): number {
    const low = this.u32();
    return this.u32() * 2 ** 32 + low;
  }

  /** Big-endian, as pickles store floats. */
  f64be(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** Text up to the next newline, which is consumed. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    const text = decodeText(this.take((end < 0 ? this.bytes.length : end) - this.position));
    this.#advance(1);
    return text;
  }

  #advance(length: number): number {
    const start = this.position;
    if (!(start >= 0 && length <= this.bytes.length - start)) {
      fail(`${this.name}: the file is damaged or cut short`, {
        notes: [`${length} bytes are needed at offset ${start}, the data there ends at ${this.bytes.length}`],
        help: 'download it again',
      });
    }
    this.position = start + length;
    return start;
  }
}

export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
