// Tensors between the host, where they are row-major, and arenas and their twins, where they lie packed.

import { checkWeights, type Weights } from './constants.js';
import { type LossGuard, readBuffer } from './gpu.js';
import { pack, unpack } from './kernels/pack.js';
import type { Resident, StepPlan } from './plan.js';
import { type Twin, twinsOf } from './step-memory.js';
import type { StepParts, StepProgram } from './step-program.js';

export type Tensors = Map<string, Float32Array<ArrayBuffer>>;

interface Arenas extends Pick<StepParts, 'device' | 'plan' | 'options'> {
  readonly program: StepProgram;
}

/** Every tensor that has such a twin. */
export async function readTensors(arenas: Arenas & { guard: LossGuard }, twin: Twin): Promise<Tensors> {
  const { device, guard, program, plan } = arenas;
  const tensors: Tensors = new Map();
  for (const arena of arenasWith(arenas, twin)) {
    await readBuffer(device, guard, program.buffers.twin(arena, twin), (values) => {
      for (const { name, shape, packing, offset } of residentsOf(plan, arena)) {
        tensors.set(name, unpack(values.subarray(offset / 4), shape, packing));
      }
    });
  }
  return tensors;
}

/** Fails where one is missing or has another size. */
export function writeTensors(arenas: Arenas, twin: Twin, tensors: Weights): void {
  const { device, program, plan } = arenas;
  const indices = arenasWith(arenas, twin);
  checkWeights(
    indices.flatMap((arena) => residentsOf(plan, arena)),
    tensors,
  );
  for (const arena of indices) {
    for (const { name, shape, packing, offset } of residentsOf(plan, arena)) {
      const packed = pack(tensors.get(name)!, shape, packing);
      device.queue.writeBuffer(program.buffers.twin(arena, twin), offset, packed);
    }
  }
}

function arenasWith({ plan, options }: Arenas, twin: Twin): number[] {
  return plan.arenas.flatMap((arena, i) => (twinsOf(arena, options).includes(twin) ? [i] : []));
}

function residentsOf({ residents }: StepPlan, arena: number): Resident[] {
  return residents.filter((resident) => resident.arena === arena);
}
