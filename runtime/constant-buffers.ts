// The plan's constants on the device: evaluated from the checkpoint, packed, and laid one after another in as few
// buffers as the device's limits allow; those that kernels read through textures in one each.

import { internal } from '../diagnostics.js';
import { f32ToF16 } from '../formats/half.js';
import { evaluateConstant, type Weights } from './constants.js';
import { allocate, Usage } from './gpu.js';
import { pack } from './kernels/pack.js';
import { isTexture } from './kernels/text.js';
import { constantBytes } from './memory.js';
import { createTextures, writeElements } from './mirrors.js';
import type { Access, Plan, PlanConstant, TextureFormat } from './plan.js';

/** Big enough that there are few buffers, small enough for every allocator. */
const CHUNK_BYTES = 2 ** 26;

export interface Constants {
  /** What to bind for a constant of the plan. */
  resource(constant: number, access: Access): GPUBindingResource;
  destroy(): void;
}

export async function uploadConstants(device: GPUDevice, plan: Plan, weights: Weights): Promise<Constants> {
  const uses = usesOf(plan);
  const chunks: number[] = [];
  const places = plan.constants.map((constant, i) => {
    if (!uses.inBuffers.has(i)) return undefined;
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
  const inTextures = [...uses.inTextures.keys()];
  const textures = await createTextures(
    device,
    'the weights',
    inTextures.map((i) => ({ format: uses.inTextures.get(i)!, bytes: constantBytes(plan.constants[i]!) })),
  ).catch((error) => {
    for (const buffer of buffers) buffer.destroy();
    throw error;
  });
  const views = new Map(inTextures.map((i, k) => [i, textures[k]!.createView()]));
  for (const [i, constant] of plan.constants.entries()) {
    const packed = packConstant(constant, weights);
    const place = places[i];
    if (place) device.queue.writeBuffer(buffers[place.chunk]!, place.offset, packed);
    const texture = textures[inTextures.indexOf(i)];
    if (texture) writeElements(device.queue, texture, packed);
  }
  return {
    resource(constant, access) {
      if (isTexture(access)) return views.get(constant) ?? internal(`constant ${constant} has no texture`);
      const { chunk, offset, size } = places[constant] ?? internal(`constant ${constant} has no buffer`);
      return { buffer: buffers[chunk]!, offset, size };
    },
    destroy() {
      for (const one of [...buffers, ...textures]) one.destroy();
    },
  };
}

/** Which constants are bound as what. */
function usesOf({ steps, kernels }: Plan) {
  const inBuffers = new Set<number>();
  const inTextures = new Map<number, TextureFormat>();
  for (const { kernel, bindings } of steps) {
    for (const [i, access] of kernels[kernel]!.bindings.entries()) {
      const bound = bindings[i];
      if (!bound || !('constant' in bound)) continue;
      if (isTexture(access)) inTextures.set(bound.constant, access);
      else inBuffers.add(bound.constant);
    }
  }
  return { inBuffers, inTextures };
}

function packConstant(
  { value, packing, dtype }: PlanConstant,
  weights: Weights,
): Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> {
  const data = evaluateConstant(value, weights);
  const packed = pack(data, value.shape, packing);
  return dtype === 'f16' ? f32ToF16(packed) : packed;
}
