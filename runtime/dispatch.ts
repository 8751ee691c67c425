// What a dispatch is encoded from beside its pipeline: a block of uniforms, a bind group, a name for errors, a cost.

import { internal, printLoc } from '../diagnostics.js';
import { type Dim, evalDim, type Sizes } from './dims.js';
import { ALIGNMENT } from './memory.js';
import type { PlanBuffer, Step } from './plan.js';
import { stepMacs } from './schedule.js';

const BLOCK_BYTES = ALIGNMENT;

/** All uniform blocks of a program, one after another. */
export class Uniforms {
  readonly bytes: number;
  readonly words: Uint32Array<ArrayBuffer>;
  #next = 0;

  constructor(blocks: number) {
    this.bytes = blocks * BLOCK_BYTES;
    this.words = new Uint32Array(this.bytes / 4);
  }

  /** Writes a block and returns its offset. */
  add(dims: readonly Dim[], sizes: Sizes): number {
    const offset = this.#next;
    if (4 * dims.length > BLOCK_BYTES) internal(`a uniform block of ${dims.length} words`);
    this.words.set(
      dims.map((dim) => evalDim(dim, sizes)),
      offset / 4,
    );
    this.#next += BLOCK_BYTES;
    return offset;
  }
}

/** The uniform block, then the storage bindings. */
export function bindGroup(
  device: GPUDevice,
  label: string,
  layout: GPUBindGroupLayout,
  uniforms: GPUBuffer,
  storage: readonly GPUBindingResource[],
): GPUBindGroup {
  const resources = [{ buffer: uniforms, size: BLOCK_BYTES }, ...storage];
  const entries = resources.map((resource, binding) => ({ binding, resource }));
  return device.createBindGroup({ label, layout, entries });
}

export function stepName({ name, loc }: Step): string {
  return loc ? `${name} (${printLoc(loc)})` : name;
}

/** What an element that is moved costs, in multiply-accumulates. */
export const COST_PER_ELEMENT = 8;

export function stepCost(step: Step, buffers: readonly PlanBuffer[], sizes: Sizes): number {
  return stepMacs({ ...step, macs: step.macs + COST_PER_ELEMENT * step.writes.channels }, buffers, sizes);
}
