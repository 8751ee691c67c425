// Lays weights out as the kernels read them (see `Packing` in the plan), and takes them out again.

import { internal } from '../../diagnostics.js';
import type { Packing } from '../plan.js';

type ConvPacking = Extract<Packing, { kind: 'conv' }>;
type VectorPacking = Extract<Packing, { kind: 'vector' }>;
type Shape = readonly number[];

/** Row-major values as `packing` wants them, the padding zero. */
export function pack(data: Float32Array, shape: Shape, packing: Packing): Float32Array<ArrayBuffer> {
  return packing.kind === 'conv' ? packConv(data, shape, packing) : packVector(data, packing);
}

/** The inverse of `pack`. */
export function unpack(packed: Float32Array, shape: Shape, packing: Packing): Float32Array<ArrayBuffer> {
  return packing.kind === 'conv' ? unpackConv(packed, shape, packing) : unpackVector(packed, shape, packing);
}

/** `[P·O, I, H, W]` as `[P][H·W][I/4][O][4 of I]`, padded with zeros. */
export function packConv(data: Float32Array, shape: Shape, packing: ConvPacking): Float32Array<ArrayBuffer> {
  const packed = new Float32Array(packing.phases * tapsOf(shape) * packing.inputs * packing.outputs);
  visitConv(shape, packing, (from, to) => {
    packed[to] = data[from]!;
  });
  return packed;
}

function unpackConv(packed: Float32Array, shape: Shape, packing: ConvPacking): Float32Array<ArrayBuffer> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  visitConv(shape, packing, (to, from) => {
    data[to] = packed[from]!;
  });
  return data;
}

/** `[P·C]` as P vectors of `length`, padded with zeros. */
export function packVector(data: Float32Array, packing: VectorPacking): Float32Array<ArrayBuffer> {
  const { phases, channels } = vectorRows(data.length, packing);
  const packed = new Float32Array(phases * packing.length);
  for (let phase = 0; phase < phases; phase++) {
    packed.set(data.subarray(phase * channels, (phase + 1) * channels), phase * packing.length);
  }
  return packed;
}

function unpackVector(packed: Float32Array, shape: Shape, packing: VectorPacking): Float32Array<ArrayBuffer> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const { phases, channels } = vectorRows(data.length, packing);
  for (let phase = 0; phase < phases; phase++) {
    const start = phase * packing.length;
    data.set(packed.subarray(start, start + channels), phase * channels);
  }
  return data;
}

/** Calls `visit` with the row-major and the packed index of every weight. */
function visitConv(shape: Shape, packing: ConvPacking, visit: (plain: number, packed: number) => void): void {
  const [rows, inputs] = shape;
  const taps = tapsOf(shape);
  const outputs = rows! / packing.phases;
  if (!Number.isInteger(outputs) || outputs > packing.outputs || inputs! > packing.inputs) {
    internal(`conv weights of shape [${shape}] do not fit ${JSON.stringify(packing)}`);
  }
  let plain = 0;
  for (let row = 0; row < rows!; row++) {
    const phase = Math.floor(row / outputs);
    const o = row % outputs;
    for (let i = 0; i < inputs!; i++) {
      for (let tap = 0; tap < taps; tap++) {
        const block = (phase * taps + tap) * packing.inputs + (i - (i % 4));
        visit(plain++, block * packing.outputs + o * 4 + (i % 4));
      }
    }
  }
}

function tapsOf(shape: Shape): number {
  const [, , height, width] = shape;
  if (height === undefined || width === undefined) internal(`conv weights of shape [${shape}]`);
  return height * width;
}

function vectorRows(values: number, packing: VectorPacking): { phases: number; channels: number } {
  const phases = packing.phases ?? 1;
  const channels = values / phases;
  if (!Number.isInteger(channels) || channels > packing.length) {
    internal(`a vector of ${values} does not fit ${JSON.stringify(packing)}`);
  }
  return { phases, channels };
}
