// A process of its own, because drivers and Dawn compile once in each: the device opened, ESRGAN's pipelines made, then
// what dispatches cost that compute next to nothing. Prints one JSON line.

import { planStep } from '../../compiler/step-plan.js';
import { trainingStep } from '../../compiler/training.js';
import { compile, load, planFor, targetFor } from '../../index.js';
import { bindGroup, Uniforms } from '../../runtime/dispatch.js';
import { LossGuard, Usage } from '../../runtime/gpu.js';
import { openDevice } from '../../runtime/node.js';
import { Pacer } from '../../runtime/pacer.js';
import { Pipelines } from '../../runtime/pipelines.js';
import { Stepper } from '../../runtime/stepper.js';
import { initialValues } from '../../train/initialize.js';
import { stageNamed, stepSpec } from '../../train/stages.js';
import { NETWORKS, SEED, sourceOf } from '../networks.js';
import { spread } from '../stats.js';

const began = performance.now();
const device = await openDevice();
const { gpu, tuned } = device;
const opened = performance.now() - began;

const plan = planFor(compile(sourceOf(NETWORKS.rrdb23)), targetFor(gpu, 'f32', tuned));
const pipelines = new Pipelines(gpu);
const made = performance.now();
await Promise.all(plan.kernels.map((kernel) => pipelines.get(kernel)));
const pipelinesMs = performance.now() - made;

/** Dispatches at a time; more do not change what one costs. */
const DISPATCHES = 2000;
const ROUNDS = 15;

async function dispatching() {
  const wgsl = `
@group(0) @binding(0) var<uniform> sizes: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] += sizes.x; }`;
  const { gpu: pipeline, layout } = await pipelines.get({ name: 'nothing', wgsl, bindings: ['read_write'] });
  const uniforms = gpu.createBuffer({ size: new Uniforms(1).bytes, usage: Usage.uniform });
  const buffer = gpu.createBuffer({ size: 256, usage: Usage.storage });
  const group = bindGroup(gpu, 'nothing', layout, uniforms, [{ buffer }]);
  const task = { name: 'nothing', kernel: 'nothing', group: 'bench', bytes: 0 };
  const command = { pipeline, group, uniformOffset: 0, workgroups: [1, 1, 1] as const, cost: 0, task };
  const pacer = new Pacer(gpu, new LossGuard(gpu));
  const host: number[] = [];
  const all: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    for (let i = 0; i < DISPATCHES; i++) pacer.dispatch(command);
    const encoded = performance.now();
    await pacer.drain();
    host.push((1000 * (encoded - began)) / DISPATCHES);
    all.push((1000 * (performance.now() - encoded)) / DISPATCHES);
  }
  return { host: spread(host.slice(1)), device: spread(all.slice(1)) };
}

/** A whole training step on so few pixels and channels that only its dispatches take time. */
async function replaying() {
  const set = { features: 4, growth: 4, blocks: 4 };
  const program = load(sourceOf({ file: 'bench/networks/rrdb.sr' }), { set, patch: 8 });
  const stage = { ...stageNamed(program, 'psnr'), batch: 1 };
  const step = trainingStep(stepSpec(program, stage, 'f32'));
  const { plan } = planStep(step, targetFor(gpu, 'f32', tuned));
  const network = program.networks[0]!.name;
  const stepper = await Stepper.open(gpu, plan, initialValues(step.graph.params, SEED), {
    adam: { [network]: stage.optimizer },
  });
  const inputs = [{ lr: new Float32Array(4 * 2 * 2), hr: new Float32Array(4 * 8 * 8) }];
  const times: number[] = [];
  for (let t = 1; t <= ROUNDS; t++) {
    const began = performance.now();
    await stepper.step({ t, rates: { [network]: 1e-4 }, inputs });
    await stepper.drain();
    times.push(performance.now() - began);
  }
  return { steps: plan.steps.length, ms: spread(times.slice(1)) };
}

const result = {
  device: device.description,
  opened,
  pipelines: { kernels: plan.kernels.length, ms: pipelinesMs },
  dispatch: await dispatching(),
  replay: await replaying(),
};
await device.close();
process.stdout.write(`${JSON.stringify(result)}\n`);
