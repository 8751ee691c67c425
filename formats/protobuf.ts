// Messages of Protocol Buffers, written (protobuf.dev/programming-guides/encoding): as much as ONNX files need. Pieces
// stay apart until the whole message is joined, so the tensors in it are copied once.

/** Encoded fields, in pieces. */
export type Fields = readonly Uint8Array[];

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const utf8 = new TextEncoder();

/** A whole number from 0 to 2^53. */
export function integer(field: number, value: number): Fields {
  return [Uint8Array.from([...key(field, VARINT), ...varint(value)])];
}

export function float(field: number, value: number): Fields {
  return [Uint8Array.from(key(field, FIXED32)), new Uint8Array(Float32Array.of(value).buffer)];
}

export function text(field: number, value: string): Fields {
  return message(field, [utf8.encode(value)]);
}

/** A message within one, or bytes. */
export function message(field: number, ...parts: readonly Fields[]): Fields {
  const fields = parts.flat();
  return [Uint8Array.from([...key(field, LENGTH_DELIMITED), ...varint(lengthOf(fields))]), ...fields];
}

export function lengthOf(fields: Fields): number {
  return fields.reduce((sum, { length }) => sum + length, 0);
}

export function join(fields: Fields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(fields));
  let at = 0;
  for (const part of fields) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function key(field: number, wireType: number): number[] {
  return varint(field * 8 + wireType);
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}
