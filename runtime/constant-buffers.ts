// The plan's constants on the device: evaluated from the checkpoint, packed, and laid one after another in as few
// buffers as the device's limits allow.

import { f32ToF16 } from '../formats/half.js';
import { evaluateConstant, type Weights } from './constants.js';
import { allocate, Usage } from './gpu.js';
import { pack } from './kernels/pack.js';
import { constantBytes } from './memory.js';
import type { Plan, PlanConstant } from './plan.js';

/** Big enough that there are few buffers, small enough for every allocator. */
const CHUNK_BYTES = 2 ** 26;

export interface ConstantBuffers {
  readonly buffers: readonly GPUBuffer[];
  /** What to bind for each constant of the plan. */
  readonly bindings: readonly GPUBufferBinding[];
}

export async function uploadConstants(
  device: GPUDevice,
  plan: Plan,
  weights: Weights,
): Promise<ConstantBuffers> {
  const chunks: number[] = [];
  const places = plan.constants.map((constant) => {
    const size = constantBytes(constant);
    if (chunks.length === 0 || chunks.at(-1)! + size > CHUNK_BYTES) chunks.push(0);
    const chunk = chunks.length - 1;
    const offset = chunks[chunk]!;
    chunks[chunk] = offset + size;
    return { chunk, offset, size };
  });
  const buffers = await allocate(
    device,
    'the weights',
    chunks.map((size) => ({ label: 'weights', size, usage: Usage.storage | Usage.copyDst })),
  );
  const bindings = plan.constants.map((constant, i) => {
    const { chunk, offset, size } = places[i]!;
    const buffer = buffers[chunk]!;
    device.queue.writeBuffer(buffer, offset, packConstant(constant, weights));
    return { buffer, offset, size };
  });
  return { buffers, bindings };
}

function packConstant({ value, packing, dtype }: PlanConstant, weights: Weights): BufferSource {
  const data = evaluateConstant(value, weights);
  const packed = pack(data, value.shape, packing);
  return dtype === 'f16' ? f32ToF16(packed) : packed;
}
