// Small hand-written plans for the runtime's tests, with their own WGSL: no compiler and no kernel family involved.

import { mulDim, sym } from '../../runtime/dims.js';
import type { PlanarImage } from '../../runtime/image.js';
import {
  type Operand,
  PLAN_VERSION,
  type Plan,
  type PlanBuffer,
  type PlanConstant,
  type PlanKernel,
  type Step,
} from '../../runtime/plan.js';

/** 3x3 conv, one thread for each output value; with `up` = 2 of the nearest-x2 upsampled image. */
function convKernel(name: string, source: string, declarations: string): string {
  return `
struct Uniforms { h: u32, w: u32, ci: u32, co: u32, xs: u32, xo: u32, ys: u32, yo: u32, up: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
${declarations}
@compute @workgroup_size(64) fn ${name}(@builtin(global_invocation_id) id: vec3<u32>) {
  let outputs = (u.co + 3) / 4 * 4;
  let inputs = (u.ci + 3) / 4 * 4;
  let o = id.x % outputs; let x = id.x / outputs; let y = id.y;
  if (x >= u.w) { return; }
  var sum = 0.0;
  for (var i = 0u; i < u.ci; i++) {
    for (var t = 0u; t < 9u; t++) {
      let py = i32(y + t / 3) - 1; let px = i32(x + t % 3) - 1;
      if (py < 0 || px < 0 || py >= i32(u.h) || px >= i32(u.w)) { continue; }
      let pixel = u32(py) / u.up * (u.w / u.up) + u32(px) / u.up;
      sum += ${source}[pixel * u.xs + u.xo + i] * weights[((t * inputs + i / 4 * 4) * outputs) + o * 4 + i % 4];
    }
  }
  y_[(y * u.w + x) * u.ys + u.yo + o] = max(sum, 0.1 * sum);
}`;
}

const APART = convKernel(
  'main',
  'x_',
  '@group(0) @binding(2) var<storage, read> x_: array<f32>; @group(0) @binding(3) var<storage, read_write> y_: array<f32>;',
);
const WITHIN = convKernel('main', 'y_', '@group(0) @binding(2) var<storage, read_write> y_: array<f32>;');

const KERNELS: readonly PlanKernel[] = [
  { name: 'conv', wgsl: APART, bindings: ['read', 'read', 'read_write'], features: [] },
  { name: 'conv_within', wgsl: WITHIN, bindings: ['read', 'read_write'], features: [] },
];

export function tensor(name: string, stride: number, scale = 1): PlanBuffer {
  return { name, dims: [sym('n'), mulDim(sym('h'), scale), mulDim(sym('w'), scale)], stride, dtype: 'f32' };
}

export interface Conv {
  readonly x: Operand;
  readonly y: Operand;
  readonly up?: 1 | 2;
  /** Skips that the conv adds; only for plans that are not run. */
  readonly adds?: readonly Operand[];
}

/** Shorthand for an operand. */
export function of(buffer: number, channels: number, offset = 0): Operand {
  return { buffer, offset, channels };
}

/** A plan of convs from buffer 0 (3 channels) to the last conv's result; conv i has the weights `w<i>`. */
export function planOf(buffers: readonly PlanBuffer[], convs: readonly Conv[]): Plan {
  const last = convs.at(-1)!.y;
  const shapes = convs.map(({ x, y }) => [y.channels, x.channels, 3, 3]);
  const constants = convs.map(
    ({ x, y }, i): PlanConstant => ({
      value: { param: `w${i}`, shape: shapes[i]! },
      dtype: 'f32',
      packing: { kind: 'conv', inputs: ceil4(x.channels), outputs: ceil4(y.channels), phases: 1 },
    }),
  );
  return {
    format: 'src-plan',
    version: PLAN_VERSION,
    name: 'toy',
    precision: 'f32',
    align: 1,
    inputs: [{ name: 'x', buffer: 0, channels: 3 }],
    outputs: [{ name: 'y', buffer: last.buffer, channels: last.channels }],
    parameters: shapes.map((shape, i) => ({ name: `w${i}`, shape })),
    constants,
    buffers,
    kernels: KERNELS,
    steps: convs.map(({ x, y, up = 1, adds = [] }, i): Step => {
      const [, h, w] = buffers[y.buffer]!.dims;
      const within = x.buffer === y.buffer;
      const strides = [buffers[x.buffer]!.stride, x.offset, buffers[y.buffer]!.stride, y.offset];
      return {
        name: `conv ${i}`,
        loc: { file: 'toy.sr', line: i + 1, column: 1 },
        kernel: within ? 1 : 0,
        reads: [
          { ...x, reach: { mul: 1, div: up, add: 1 } },
          ...adds.map((add) => ({ ...add, reach: { mul: 1, div: 1, add: 0 } })),
        ],
        writes: y,
        bindings: [{ constant: i }, ...(within ? [] : [{ buffer: x.buffer }]), { buffer: y.buffer }],
        uniforms: [h, w, x.channels, y.channels, ...strides, up],
        workgroups: [[{ dim: mulDim(w, ceil4(y.channels)), per: 64 }], [{ dim: h, per: 1 }], []],
        macs: 9 * x.channels * y.channels,
      };
    }),
  };
}

/** conv 3 -> 8, a dense block of two, conv, up x2, conv -> 3: a slab, a skip over segments, two scales. */
export function toyPlan(): Plan {
  const buffers = [
    tensor('x', 4),
    tensor('slab', 16),
    tensor('body', 8),
    tensor('up', 8, 2),
    tensor('y', 4, 2),
  ];
  return planOf(buffers, [
    { x: of(0, 3), y: of(1, 8) },
    { x: of(1, 8), y: of(1, 4, 8) },
    { x: of(1, 12), y: of(1, 4, 12) },
    { x: of(1, 16), y: of(2, 8) },
    { x: of(2, 8), y: of(3, 8), up: 2 },
    { x: of(3, 8), y: of(4, 3) },
  ]);
}

/** A chain of 12 thin convs and a wide tail at x2: little to carry over the cut between them, much to hold after it. */
export function tailPlan(): Plan {
  const buffers = [
    tensor('x', 4),
    ...Array.from({ length: 12 }, (_, i) => tensor(`t${i}`, 8)),
    tensor('wide', 32, 2),
    tensor('y', 4, 2),
  ];
  return planOf(buffers, [
    ...Array.from({ length: 12 }, (_, i) => ({ x: of(i, i === 0 ? 3 : 8), y: of(i + 1, 8) })),
    { x: of(12, 8), y: of(13, 32), up: 2 },
    { x: of(13, 32), y: of(14, 3) },
  ]);
}

/** The steps of ESRGAN with `blocks` RRDBs, for planning: its kernels could not add the skips. */
export function esrganPlan(blocks: number): Plan {
  const buffers = [tensor('x', 4)];
  const slab = (): number => buffers.push(tensor('slab', 192)) - 1;
  const convs: Conv[] = [];
  let current = slab();
  const first = current;
  convs.push({ x: of(0, 3), y: of(current, 64) });
  for (let rrdb = 0; rrdb < blocks; rrdb++) {
    const entry = current;
    for (let rdb = 0; rdb < 3; rdb++) {
      for (let i = 0; i < 4; i++)
        convs.push({ x: of(current, 64 + 32 * i), y: of(current, 32, 64 + 32 * i) });
      const next = slab();
      const adds = [of(current, 64), ...(rdb === 2 ? [of(entry, 64)] : [])];
      convs.push({ x: of(current, 192), y: of(next, 64), adds });
      current = next;
    }
  }
  const tail = (name: string, stride: number, scale: number): number =>
    buffers.push(tensor(name, stride, scale)) - 1;
  const [trunk, up1, up2, hr, y] = [
    tail('trunk', 64, 1),
    tail('up1', 64, 2),
    tail('up2', 64, 4),
    tail('hr', 64, 4),
    tail('y', 4, 4),
  ];
  convs.push(
    { x: of(current, 64), y: of(trunk!, 64), adds: [of(first, 64)] },
    { x: of(trunk!, 64), y: of(up1!, 64), up: 2 },
    { x: of(up1!, 64), y: of(up2!, 64), up: 2 },
    { x: of(up2!, 64), y: of(hr!, 64) },
    { x: of(hr!, 64), y: of(y!, 3) },
  );
  return planOf(buffers, convs);
}

/** A chain of `depth` convs on 8 channels. */
export function chainPlan(depth: number): Plan {
  const buffers = [
    tensor('x', 4),
    ...Array.from({ length: depth - 1 }, (_, i) => tensor(`t${i}`, 8)),
    tensor('y', 4),
  ];
  return planOf(
    buffers,
    Array.from({ length: depth }, (_, i) => ({
      x: of(i, i === 0 ? 3 : 8),
      y: of(i + 1, i === depth - 1 ? 3 : 8),
    })),
  );
}

/** Weights that keep values near 1, the same in every run. */
export function toyWeights(plan: Plan): Map<string, Float32Array> {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return new Map(
    plan.parameters.map(({ name, shape }) => {
      const [outputs, inputs] = shape as [number, number];
      const size = outputs * inputs * 9;
      return [name, Float32Array.from({ length: size }, () => random() / Math.sqrt(3 * inputs))];
    }),
  );
}

export function photo(width: number, height: number): PlanarImage {
  const data = Float32Array.from({ length: 3 * width * height }, (_, i) => Math.sin(i * 12.9898) / 2 + 0.5);
  return { width, height, data };
}

/** What a plan of `planOf` computes, in plain loops in f64. */
export function reference({ width, height, data }: PlanarImage, plan: Plan): Float32Array {
  const weights = toyWeights(plan);
  const planes = plan.buffers.map((): Float64Array[] => []);
  for (let c = 0; c < 3; c++)
    planes[0]![c] = Float64Array.from(data.slice(c * width * height, (c + 1) * width * height));
  const scales = plan.buffers.map(({ dims: [, h] }) => (typeof h === 'number' ? 1 : h.mul));
  for (const [index, { reads, writes }] of plan.steps.entries()) {
    const [x] = reads;
    const [w, h] = [width * scales[writes.buffer]!, height * scales[writes.buffer]!];
    const up = scales[writes.buffer]! / scales[x!.buffer]!;
    const weight = weights.get(`w${index}`)!;
    for (let o = 0; o < writes.channels; o++) {
      planes[writes.buffer]![writes.offset + o] = Float64Array.from({ length: w * h }, (_, at) => {
        let sum = 0;
        for (let k = 0; k < x!.channels * 9; k++) {
          const [i, t] = [Math.floor(k / 9), k % 9];
          const [px, py] = [(at % w) + (t % 3) - 1, Math.floor(at / w) + Math.floor(t / 3) - 1];
          if (py < 0 || px < 0 || py >= h || px >= w) continue;
          const pixel = Math.floor(py / up) * (w / up) + Math.floor(px / up);
          sum += planes[x!.buffer]![x!.offset + i]![pixel]! * weight[o * x!.channels * 9 + k]!;
        }
        return Math.max(sum, 0.1 * sum);
      });
    }
  }
  const { buffer, channels } = plan.outputs[0]!;
  return Float32Array.from(planes[buffer]!.slice(0, channels).flatMap((plane) => [...plane]));
}

function ceil4(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}
