// The ceiling: multiply-adds in registers alone, as many at once as a processor has use for. What conv kernels reach is
// told as a share of this, because data sheets do not know clocks, drivers and software devices.

import { Usage } from '../../runtime/gpu.js';
import { openDevice } from '../../runtime/node.js';
import { Missing, type OpenPeer } from '../peer.js';

/** Independent sums of a thread: few leave the pipeline empty, many do not fit the registers. */
const CHAINS = [8, 12, 16];
const THREADS = 256;
const UNROLLED = 8;
const GOAL_MS = 40;

export const open: OpenPeer = async (_job, { precision }) => {
  const device = await openDevice();
  const { gpu } = device;
  if (precision === 'f16' && !gpu.features.has('shader-f16'))
    throw new Missing('the device has no 16-bit floats');
  const result = gpu.createBuffer({ size: 4 * THREADS, usage: Usage.storage });
  const loops = gpu.createBuffer({ size: 16, usage: Usage.uniform | Usage.copyDst });
  const kernels = await Promise.all(
    CHAINS.map(async (chains) => {
      const module = gpu.createShaderModule({ code: text(chains, String(precision)) });
      const pipeline = await gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } });
      const entries = [loops, result].map((buffer, binding) => ({ binding, resource: { buffer } }));
      const group = gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
      return { chains, pipeline, group };
    }),
  );
  const groups = 1024;
  const time = async ({ pipeline, group }: (typeof kernels)[number], count: number) => {
    gpu.queue.writeBuffer(loops, 0, Uint32Array.of(count, 0, 0, 0));
    await gpu.queue.onSubmittedWorkDone();
    const began = performance.now();
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(groups);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - began;
  };
  /** Long enough that neither the dispatch nor the clock matters. */
  const enough = async (kernel: (typeof kernels)[number]) => {
    let count = 1;
    while ((await time(kernel, count)) < GOAL_MS) count *= 2;
    return count;
  };
  const counts: number[] = [];
  for (const kernel of kernels) counts.push(await enough(kernel));
  return {
    version: 'multiply-adds in registers',
    device: device.description,
    async run() {
      const reps = [];
      for (const [i, kernel] of kernels.entries()) {
        const ms = await time(kernel, counts[i]!);
        reps.push({ ms, flops: 2 * kernel.chains * UNROLLED * counts[i]! * groups * THREADS });
      }
      return reps.reduce((best, rep) => (rep.flops / rep.ms > best.flops / best.ms ? rep : best));
    },
  };
};

function text(chains: number, type: string): string {
  const each = (line: (i: number) => string, between = '\n  ') =>
    Array.from({ length: chains }, (_, i) => line(i)).join(between);
  const round = each((i) => `v${i} = fma(v${i}, x, y);`, ' ');
  return `${type === 'f16' ? 'enable f16;' : ''}
@group(0) @binding(0) var<uniform> loops: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(${THREADS}) fn main(@builtin(local_invocation_index) lane: u32) {
  let x = ${type}(0.5 + f32(lane) * 1e-4);
  let y = ${type}(f32(lane) * 1e-3);
  ${each((i) => `var v${i} = ${type}(lane + ${i}u);`)}
  for (var n = 0u; n < loops.x; n++) {
    ${Array.from({ length: UNROLLED }, () => round).join('\n    ')}
  }
  result[lane] = f32(${each((i) => `v${i}`, ' + ')});
}
`;
}
