// Lays weights out as the kernels read them (see `Packing` in the plan).

import { internal } from '../../diagnostics.js';
import type { Packing } from '../plan.js';

/** `[P·O, I, H, W]` as `[P][H·W][I/4][O][4 of I]`, padded with zeros. */
export function packConv(
  data: Float32Array,
  shape: readonly number[],
  packing: Extract<Packing, { kind: 'conv' }>,
): Float32Array<ArrayBuffer> {
  const [rows, inputs, height, width] = shape;
  if (rows === undefined || inputs === undefined || height === undefined || width === undefined) {
    internal(`conv weights of shape [${shape}]`);
  }
  const outputs = rows / packing.phases;
  if (!Number.isInteger(outputs) || outputs > packing.outputs || inputs > packing.inputs) {
    internal(`conv weights of shape [${shape}] do not fit ${JSON.stringify(packing)}`);
  }
  const taps = height * width;
  const packed = new Float32Array(packing.phases * taps * packing.inputs * packing.outputs);
  let from = 0;
  for (let row = 0; row < rows; row++) {
    const phase = Math.floor(row / outputs);
    const o = row % outputs;
    for (let i = 0; i < inputs; i++) {
      for (let tap = 0; tap < taps; tap++) {
        const block = (phase * taps + tap) * packing.inputs + (i - (i % 4));
        packed[block * packing.outputs + o * 4 + (i % 4)] = data[from++] as number;
      }
    }
  }
  return packed;
}

/** `[P·C]` as P vectors of `length`, padded with zeros. */
export function packVector(
  data: Float32Array,
  packing: Extract<Packing, { kind: 'vector' }>,
): Float32Array<ArrayBuffer> {
  const phases = packing.phases ?? 1;
  const channels = data.length / phases;
  if (!Number.isInteger(channels) || channels > packing.length) {
    internal(`a vector of ${data.length} does not fit ${JSON.stringify(packing)}`);
  }
  const packed = new Float32Array(phases * packing.length);
  for (let phase = 0; phase < phases; phase++) {
    packed.set(data.subarray(phase * channels, (phase + 1) * channels), phase * packing.length);
  }
  return packed;
}
