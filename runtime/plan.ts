// The Plan: everything the runtime needs to run a network, as plain JSON-able data. The compiler builds it; the
// runtime executes it for any image size, whole or in tiles, without seeing a graph.
//
// Tensors are channels-last: `[n][h][w][stride]`. An operand is a channel range of a buffer, so a concat is a
// buffer whose ranges are written by different steps (a dense block costs no copy). Strides are multiples of 4, and so
// are offsets except of copies; a step that writes `channels` also writes zeros up to the next multiple of 4.

import type { Loc } from '../diagnostics.js';
import type { Dim } from './dims.js';

/** 2: bindings may be textures. */
export const PLAN_VERSION = 2;

export type DType = 'f32' | 'f16';
/** A buffer; or the format of a texture that holds a copy of one (runtime/mirrors.ts). */
export type Access = 'read' | 'read_write' | TextureFormat;
export type TextureFormat = 'rgba32float' | 'rgba16float';

export interface Plan {
  readonly format: 'src-plan';
  readonly version: typeof PLAN_VERSION;
  readonly name: string;
  /** Storage of activations and weights; accumulation, input and output are always f32. */
  readonly precision: DType;
  /** Height and width of the input must be multiples of this (pixel-unshuffle fronts); the runner pads and crops. */
  readonly align: number;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** What a checkpoint must supply. */
  readonly parameters: readonly Parameter[];
  readonly constants: readonly PlanConstant[];
  readonly buffers: readonly PlanBuffer[];
  readonly kernels: readonly PlanKernel[];
  readonly steps: readonly Step[];
}

/** An input or output image: `channels` of `buffer` from channel 0. */
export interface Port {
  readonly name: string;
  readonly buffer: number;
  readonly channels: number;
}

/** A tensor of the checkpoint, by the graph's name (`body.3.rdb.1.conv.2.weight`), PyTorch layout (OIHW). */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A weight as the kernels want it: an expression over parameters, evaluated once at load, then packed. */
export interface PlanConstant {
  readonly value: ConstantExpr;
  readonly dtype: DType;
  readonly packing: Packing;
}

/** Small arithmetic on parameters (batch-norm folding, phase weights); `op` is a row of runtime/constants.ts. */
export type ConstantExpr =
  | { readonly param: string; readonly shape: readonly number[] }
  | { readonly values: readonly number[]; readonly shape: readonly number[] }
  | {
      readonly op: string;
      readonly attrs: Readonly<Record<string, number>>;
      readonly args: readonly ConstantExpr[];
      readonly shape: readonly number[];
    };

/** How a constant lies in memory. */
export type Packing =
  /** `[P·C]` vector as P phases (default 1) of C values, each padded with zeros to `length`. */
  | { readonly kind: 'vector'; readonly length: number; readonly phases?: number }
  /**
   * Conv weights OIHW (after any phase split: P·O,I,H,W with P phases) as `[P][H*W][I/4][O][4 of I]`,
   * I and O padded with zeros to `inputs` and `outputs`.
   */
  | { readonly kind: 'conv'; readonly inputs: number; readonly outputs: number; readonly phases: number };

/** An activation tensor `[n][h][w][stride]`, alive from the step that first writes it to the last that reads it. */
export interface PlanBuffer {
  /** Where it lies, when it outlives a run: then it has no lifetime and shares its place with no other. */
  readonly resident?: Residence;
  readonly name: string;
  readonly dims: readonly [n: Dim, h: Dim, w: Dim];
  readonly stride: number;
  readonly dtype: DType;
}

export interface PlanKernel {
  readonly name: string;
  readonly wgsl: string;
  /** What the bindings 1, 2, … are; binding 0 is the uniform block. */
  readonly bindings: readonly Access[];
  /** WebGPU features the text needs: `shader-f16`, `subgroups`. */
  readonly features: readonly string[];
  /** Subgroup size the text is written for, where it is. */
  readonly subgroupSize?: number;
}

/** A channel range of an activation buffer. */
export interface Operand {
  readonly buffer: number;
  readonly offset: number;
  readonly channels: number;
}

/**
 * How far a step looks: to make output pixels with a margin of m on each side it reads its operand with a margin
 * of `ceil(m * mul / div) + add` of the operand's own pixels. `{mul: 1, div: 1, add: 1}` is a 3x3 conv.
 */
export interface Reach {
  readonly mul: number;
  readonly div: number;
  readonly add: number;
}

/** One dispatch. */
export interface Step {
  readonly name: string;
  readonly loc?: Loc;
  readonly kernel: number;
  readonly reads: readonly (Operand & { readonly reach: Reach })[];
  readonly writes: Operand;
  /** What to bind, in the order of the kernel's bindings: an activation buffer or a constant. */
  readonly bindings: readonly Binding[];
  /** u32 words of the uniform block (16-byte padded by the runtime). */
  readonly uniforms: readonly Dim[];
  readonly workgroups: readonly [Axis, Axis, Axis];
  /** Multiply-accumulates per element of `n*h*w` of the written buffer. */
  readonly macs: number;
}

export type Binding = { readonly buffer: number } | { readonly constant: number };

/** Number of workgroups along one axis: the product of `ceil(dim / per)`. */
export type Axis = readonly { readonly dim: Dim; readonly per: number }[];

/**
 * A plan that is run again and again on tensors that stay on the device: a training step. Its sizes are numbers.
 * Outputs of one channel and pixel are scalars (losses).
 */
export interface StepPlan extends Plan {
  readonly arenas: readonly Arena[];
  readonly residents: readonly Resident[];
}

/**
 * Residents one after another in one buffer. Those that are trained have a twin buffer of gradients, each at the same
 * offset: an optimizer sees two long vectors and no tensors. Padding of a packed tensor is zero, as is its gradient.
 */
export interface Arena {
  /** The network they belong to. */
  readonly network: string;
  readonly trained: boolean;
  /** A multiple of 256. */
  readonly bytes: number;
}

/** A tensor of the checkpoint on the device, in f32. */
export interface Resident extends Parameter {
  readonly packing: Packing;
  readonly arena: number;
  /** Bytes from the start of the arena, a multiple of 256. */
  readonly offset: number;
}

/** A buffer that is a resident's value, or the place of its gradient. */
export interface Residence {
  readonly resident: number;
  readonly of: 'value' | 'gradient';
}
