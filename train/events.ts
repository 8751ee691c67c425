// TensorBoard's event files: TFRecords (length, masked CRC, data, masked CRC), each an Event in protobuf. Only the few
// fields that scalars and pictures need are written here.
// https://github.com/tensorflow/tensorflow: core/lib/io/record_writer.h, core/util/event.proto, core/framework/summary.proto

import { crc32c } from './crc32c.js';

export interface EventTime {
  /** Seconds since 1970. */
  readonly time: number;
  readonly step: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB. */
  readonly png: Uint8Array;
}

/** Field numbers. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 };
const SUMMARY = { value: 1 };
const VALUE = { tag: 1, simpleValue: 2, image: 4 };
const IMAGE = { height: 1, width: 2, colorspace: 3, encoded: 4 };
const SESSION_LOG = { status: 1 };

const SESSION_START = 1;
const RGB = 3;

/**
 * The beginning of a file that goes on after `step`: what other files of the folder say of later steps is to be made
 * again, and TensorBoard leaves it out.
 */
export function openEvents({ time, step }: EventTime): Uint8Array<ArrayBuffer> {
  return concat(
    record(stamp({ time, step: 0 }), text(EVENT.fileVersion, 'brain.Event:2')),
    record(
      stamp({ time, step: step + 1 }),
      message(EVENT.sessionLog, integer(SESSION_LOG.status, SESSION_START)),
    ),
  );
}

/** Slashes in tags group them: `loss/total`. */
export function scalarEvent(
  at: EventTime,
  scalars: readonly (readonly [tag: string, value: number])[],
): Uint8Array<ArrayBuffer> {
  const values = scalars.map(([tag, value]) =>
    message(SUMMARY.value, text(VALUE.tag, tag), float(VALUE.simpleValue, value)),
  );
  return record(stamp(at), message(EVENT.summary, ...values));
}

export function pictureEvent(
  at: EventTime,
  tag: string,
  { width, height, png }: Picture,
): Uint8Array<ArrayBuffer> {
  const image = message(
    VALUE.image,
    integer(IMAGE.height, height),
    integer(IMAGE.width, width),
    integer(IMAGE.colorspace, RGB),
    message(IMAGE.encoded, png),
  );
  return record(stamp(at), message(EVENT.summary, message(SUMMARY.value, text(VALUE.tag, tag), image)));
}

/** Protobuf leaves zeros out. */
const NOTHING = new Uint8Array(0);

function stamp({ time, step }: EventTime): Uint8Array {
  return concat(double(EVENT.wallTime, time), step === 0 ? NOTHING : integer(EVENT.step, step));
}

function record(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const data = concat(...parts);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return concat(length, maskedCrc(length), data, maskedCrc(data));
}

/** Rotated and shifted, because checksums of data that holds checksums are weak. */
function maskedCrc(data: Uint8Array): Uint8Array {
  const crc = crc32c(data);
  const masked = new Uint8Array(4);
  new DataView(masked.buffer).setUint32(0, ((crc >>> 15) | (crc << 17)) + 0xa282ead8, true);
  return masked;
}

/** Protobuf's wire types. */
const WIRE = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 };

function integer(field: number, value: number): Uint8Array {
  return concat(key(field, WIRE.varint), varint(value));
}

function double(field: number, value: number): Uint8Array {
  const fixed = new Uint8Array(8);
  new DataView(fixed.buffer).setFloat64(0, value, true);
  return concat(key(field, WIRE.fixed64), fixed);
}

function float(field: number, value: number): Uint8Array {
  const fixed = new Uint8Array(4);
  new DataView(fixed.buffer).setFloat32(0, value, true);
  return concat(key(field, WIRE.fixed32), fixed);
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}

/** Bytes, text and messages look alike: a length and what it counts. */
function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return concat(key(field, WIRE.delimited), varint(length), ...parts);
}

function key(field: number, wire: number): Uint8Array {
  return varint(field * 8 + wire);
}

/** Seven bits a byte, the lowest first; not negative. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.of(...bytes, rest);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
