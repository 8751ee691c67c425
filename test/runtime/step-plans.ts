// Small hand-written plans of training steps. Gradients are inputs, copied to their place (times the scale of the loss,
// where there is one), so that tests choose them freely.

import { copy } from '../../runtime/kernels/gather.js';
import type { KernelCall, PointwiseStep, View } from '../../runtime/kernels/kernel.js';
import { roundUp } from '../../runtime/kernels/kernel.js';
import { map } from '../../runtime/kernels/map.js';
import { pack } from '../../runtime/kernels/pack.js';
import { sumRows } from '../../runtime/kernels/reduce.js';
import { packedLength } from '../../runtime/memory.js';
import {
  type Arena,
  type Binding,
  type DType,
  type Packing,
  PLAN_VERSION,
  type PlanBuffer,
  type PlanKernel,
  type Port,
  type Resident,
  type Step,
  type StepPlan,
} from '../../runtime/plan.js';

type Dims = readonly [number, number, number];

export interface Tensor {
  readonly name: string;
  readonly network: string;
  readonly shape: readonly number[];
  readonly trained: boolean;
}

/** A weight and a bias of one network, a running statistic of it, and a scalar of another network. */
export const TENSORS: readonly Tensor[] = [
  { name: 'g.weight', network: 'g', shape: [5, 3, 3, 3], trained: true },
  { name: 'g.bias', network: 'g', shape: [5], trained: true },
  { name: 'g.mean', network: 'g', shape: [5], trained: false },
  { name: 'g.twin', network: 'g', shape: [5], trained: false },
  { name: 'd.gain', network: 'd', shape: [1], trained: true },
];

export function packingOf({ shape }: Pick<Tensor, 'shape'>): Packing {
  const [outputs, inputs] = shape;
  if (shape.length < 2) return { kind: 'vector', length: roundUp(shape[0] ?? 1, 4) };
  return { kind: 'conv', inputs: roundUp(inputs!, 4), outputs: roundUp(outputs!, 4), phases: 1 };
}

/** A packed tensor as pointwise kernels see it. */
function imageOf({ shape }: Pick<Tensor, 'shape'>): { dims: Dims; channels: number; stride: number } {
  const [first = 1, inputs, height, width] = shape;
  if (inputs === undefined) return { dims: [1, 1, 1], channels: first, stride: roundUp(first, 4) };
  return { dims: [height! * width!, Math.ceil(inputs / 4), roundUp(first, 4)], channels: 4, stride: 4 };
}

/** Row-major values as an input of the plan wants them. */
export function input(tensor: Tensor, data: Float32Array): Float32Array<ArrayBuffer> {
  return pack(data, tensor.shape, packingOf(tensor));
}

export class Sketch {
  readonly buffers: PlanBuffer[] = [];
  readonly kernels: PlanKernel[] = [];
  readonly steps: Step[] = [];
  readonly inputs: Port[] = [];
  readonly outputs: Port[] = [];
  readonly residents: Resident[] = [];
  readonly arenas: Arena[] = [];

  constructor(tensors: readonly Tensor[]) {
    for (const { name, network, shape, trained } of tensors) {
      let arena = this.arenas.findIndex((known) => known.network === network && known.trained === trained);
      if (arena < 0) arena = this.arenas.push({ network, trained, bytes: 0 }) - 1;
      const { bytes: offset } = this.arenas[arena]!;
      const packing = packingOf({ shape });
      this.residents.push({ name, shape, packing, arena, offset });
      const bytes = offset + roundUp(4 * packedLength(packing, shape), 256);
      this.arenas[arena] = { network, trained, bytes };
    }
  }

  buffer(name: string, dims: Dims, stride: number, more: Partial<PlanBuffer> = {}): number {
    return this.buffers.push({ name, dims, stride, dtype: 'f32', ...more }) - 1;
  }

  /** The buffer of a resident. */
  resident(name: string, of: 'value' | 'gradient'): number {
    const resident = this.residents.findIndex((known) => known.name === name);
    const { dims, stride } = imageOf(this.residents[resident]!);
    return this.buffer(`${name} ${of}`, dims, stride, { resident: { resident, of } });
  }

  input(name: string, dims: Dims, stride: number, channels: number): number {
    const buffer = this.buffer(name, dims, stride);
    this.inputs.push({ name, buffer, channels });
    return buffer;
  }

  view(buffer: number, slot: number, channels: number): View {
    const { dims, stride, dtype } = this.buffers[buffer]!;
    return { slot, dtype, dims, channels, stride, offset: 0 };
  }

  step(call: KernelCall, bindings: readonly Binding[], writes: number, channels: number): void {
    const { uniforms, workgroups, ...kernel } = call;
    const line = this.steps.length + 1;
    this.steps.push({
      name: `%${line} ${call.name}`,
      loc: { file: 'toy.sr', line, column: 3 },
      kernel: this.kernels.push(kernel) - 1,
      reads: [],
      writes: { buffer: writes, offset: 0, channels },
      bindings,
      uniforms,
      workgroups,
      macs: 1,
    });
  }

  map(
    from: number,
    to: number,
    channels: number,
    steps: readonly PointwiseStep[],
    more: number[] = [],
  ): void {
    const [x, y] = [this.view(from, 0, channels), this.view(to, 1, channels)];
    const bindings = [from, to, ...more].map((buffer) => ({ buffer }));
    this.step(steps.length > 0 ? map({ x, y, steps }) : copy({ x, y }), bindings, to, channels);
  }

  /** A loss: the sum of the one pixel of `from`. */
  loss(name: string, from: number, channels: number): void {
    const to = this.buffer(name, [1, 1, 1], 4);
    const spec = { x: this.view(from, 0, channels), y: this.view(to, 1, 1), keep: 'none' } as const;
    this.step(sumRows(spec), [{ buffer: from }, { buffer: to }], to, 1);
    this.outputs.push({ name, buffer: to, channels: 1 });
  }

  plan(): StepPlan {
    const { inputs, outputs, buffers, kernels, steps, arenas, residents } = this;
    const head = {
      format: 'src-plan',
      version: PLAN_VERSION,
      name: 'toy',
      precision: 'f32',
      align: 1,
    } as const;
    return {
      ...head,
      parameters: [],
      constants: [],
      inputs,
      outputs,
      buffers,
      kernels,
      steps,
      arenas,
      residents,
    };
  }
}

/**
 * Inputs `d<name>` are the gradients. Losses: `biases`, the sum of the biases before the step, and `gain`, the sum of
 * the gradient of the gain. The running mean becomes half of itself plus the gradient of the bias, and its twin a copy.
 */
export function toyStep({ scaled = false, half = 'f32' as DType } = {}): StepPlan {
  const sketch = new Sketch(TENSORS);
  const scale = scaled ? [sketch.input('loss_scale', [1, 1, 1], 4, 1)] : [];
  for (const tensor of TENSORS.filter(({ trained }) => trained)) {
    const { dims, channels, stride } = imageOf(tensor);
    const from = sketch.input(`d${tensor.name}`, dims, stride, channels);
    const place = sketch.resident(tensor.name, 'gradient');
    const temporary = sketch.buffer(`${tensor.name} scaled`, dims, stride, { dtype: half });
    const multiply = scaled ? [{ op: 'mul', operand: { scalar: { slot: 2, dtype: 'f32' as const } } }] : [];
    sketch.map(from, temporary, channels, multiply, scale);
    sketch.map(temporary, place, channels, []);
    if (tensor.name === 'd.gain') sketch.loss('gain', from, 1);
  }
  sketch.loss('biases', sketch.resident('g.bias', 'value'), 5);
  const [mean, twin] = [sketch.resident('g.mean', 'value'), sketch.resident('g.twin', 'value')];
  const next = sketch.buffer('next mean', [1, 1, 1], 8);
  const bias = sketch.inputs.find(({ name }) => name === 'dg.bias')!.buffer;
  const add = { op: 'add', operand: { tensor: sketch.view(bias, 2, 5) } };
  sketch.map(mean, next, 5, [{ op: 'scale', attr: 0.5 }, add], [bias]);
  sketch.map(next, mean, 5, []);
  sketch.map(mean, twin, 5, []);
  return sketch.plan();
}
