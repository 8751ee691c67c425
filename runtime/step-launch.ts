// Dispatches whose sizes and buffers are known for good, made into commands all at once.

import { bindGroup, Uniforms } from './dispatch.js';
import { allocate, checked, Usage } from './gpu.js';
import type { KernelCall } from './kernels/kernel.js';
import type { Command } from './pacer.js';
import type { Pipelines } from './pipelines.js';
import type { Task } from './profile-task.js';
import { axisGroups } from './schedule.js';

export interface Launch {
  /** For errors. */
  readonly name: string;
  readonly kernel: Pick<KernelCall, 'name' | 'wgsl' | 'bindings'>;
  readonly uniforms: KernelCall['uniforms'];
  readonly workgroups: KernelCall['workgroups'];
  readonly storage: readonly GPUBindingResource[];
  /** In multiply-accumulates, roughly. */
  readonly cost: number;
  readonly task: Task;
}

export interface Commands {
  /** One for each launch. */
  readonly commands: readonly Command[];
  readonly uniforms: GPUBuffer;
}

export async function prepare(
  device: GPUDevice,
  pipelines: Pipelines,
  what: string,
  launches: readonly Launch[],
): Promise<Commands> {
  const compiled = await Promise.all(launches.map(({ kernel }) => pipelines.get(kernel)));
  const blocks = new Uniforms(launches.length);
  const [uniforms] = await allocate(device, what, [
    { label: 'uniforms', size: blocks.bytes, usage: Usage.uniform | Usage.copyDst },
  ]);
  const commands = await checked(device, what, () =>
    launches.map((launch, i): Command => {
      const { gpu, layout } = compiled[i]!;
      return {
        pipeline: gpu,
        group: bindGroup(device, launch.name, layout, uniforms!, launch.storage),
        uniformOffset: blocks.add(launch.uniforms, {}),
        workgroups: axisGroups(launch.workgroups, {}),
        cost: launch.cost,
        task: launch.task,
      };
    }),
  );
  device.queue.writeBuffer(uniforms!, 0, blocks.words);
  return { commands, uniforms: uniforms! };
}
