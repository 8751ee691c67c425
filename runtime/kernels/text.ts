// Assembles a KernelCall from its parts: the WGSL header (features, uniform words, storage bindings) follows from the
// operands, so no family writes a declaration by hand and a slot shared by several operands is declared once.

import { internal } from '../../diagnostics.js';
import type { Dim } from '../dims.js';
import type { Access, Axis, DType, TextureFormat } from '../plan.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';

/** How many channels one element of a storage array holds, and the type `Value` that expressions work on. */
export type Width = 1 | 4;

/** One use of a storage binding; uses of a slot are merged. */
export interface Use {
  readonly slot: number;
  readonly dtype: DType;
  readonly access: Access;
  readonly width: Width;
}

export interface KernelText {
  readonly name: string;
  /** Words of the uniform block, `u.<name>`. */
  readonly uniforms: Readonly<Record<string, Dim>>;
  readonly uses: readonly Use[];
  /** What `Value` stands for. */
  readonly width: Width;
  readonly body: readonly string[];
  readonly workgroups: readonly [Axis, Axis, Axis];
  /** Set when the body uses subgroup operations and relies on this size. */
  readonly subgroupSize?: number;
  /** The body uses subgroup matrices. */
  readonly matrices?: true;
}

export function assemble(text: KernelText): KernelCall {
  const slots = mergeSlots(text.uses);
  const half = slots.some(({ dtype, access }) => dtype === 'f16' && !isTexture(access));
  const subgroups = text.subgroupSize !== undefined;
  const words = Object.keys(text.uniforms).map((word) => `${word}: u32`);
  const wgsl = [
    ...(half ? ['enable f16;'] : []),
    ...(subgroups ? ['enable subgroups;'] : []),
    ...(text.matrices ? ['enable chromium_experimental_subgroup_matrix;'] : []),
    `alias Value = ${text.width === 4 ? 'vec4<f32>' : 'f32'};`,
    `struct Uniforms { ${words.join(', ')} }`,
    '@group(0) @binding(0) var<uniform> u: Uniforms;',
    ...slots.map(declare),
    ...(slots.some(({ access }) => isTexture(access)) ? [TEXEL] : []),
    ...text.body,
    '',
  ].join('\n');
  return {
    name: text.name,
    wgsl,
    bindings: slots.map((slot) => slot.access),
    features: [
      ...(half ? ['shader-f16'] : []),
      ...(subgroups ? ['subgroups'] : []),
      ...(text.matrices ? ['chromium-experimental-subgroup-matrix'] : []),
    ],
    ...(subgroups && { subgroupSize: text.subgroupSize }),
    uniforms: Object.values(text.uniforms),
    workgroups: text.workgroups,
  };
}

/** Texels of a row of a texture that holds a buffer's elements, a power of two. */
export const TEXTURE_WIDTH = 2 ** 13;

const TEXEL = [
  'fn texel(element: u32) -> vec2<u32> {',
  `return vec2<u32>(element % ${TEXTURE_WIDTH}u, element / ${TEXTURE_WIDTH}u);`,
  '}',
].join(' ');

const FORMATS: Readonly<Record<DType, TextureFormat>> = { f32: 'rgba32float', f16: 'rgba16float' };

export function isTexture(access: Access): access is TextureFormat {
  return access === 'rgba32float' || access === 'rgba16float';
}

function declare({ slot, access, width, dtype }: Use): string {
  const binding = `@group(0) @binding(${slot + 1})`;
  return isTexture(access)
    ? `${binding} var s${slot}: texture_storage_2d<${access}, read>;`
    : `${binding} var<storage, ${access}> s${slot}: array<${elementType(width, dtype)}>;`;
}

interface Readable {
  readonly slot: number;
  readonly dtype: DType;
  readonly texture?: true;
}

export function reads({ slot, dtype, texture }: Readable, width: Width = 4): Use {
  if (texture && width !== 4) internal(`slot ${slot}: a texel has four channels`);
  return { slot, dtype, access: texture ? FORMATS[dtype] : 'read', width };
}

export function writes(operand: { slot: number; dtype: DType }, width: Width = 4): Use {
  return { slot: operand.slot, dtype: operand.dtype, access: 'read_write', width };
}

/** The operands of an epilogue. */
export function stepUses(steps: readonly PointwiseStep[], width: Width = 4): Use[] {
  return steps.flatMap(({ operand }) => {
    if (!operand) return [];
    if ('tensor' in operand) return [reads(operand.tensor, width)];
    return [reads('vector' in operand ? operand.vector : operand.scalar, width)];
  });
}

/** Loads an element as f32. */
export function load({ slot, texture }: Omit<Readable, 'dtype'>, width: Width, index: string): string {
  return texture
    ? `textureLoad(s${slot}, texel(${index}))`
    : `${elementType(width, 'f32')}(s${slot}[${index}])`;
}

/** Stores an f32 element. */
export function store(view: View, width: Width, index: string, value: string): string {
  return `s${view.slot}[${index}] = ${elementType(width, view.dtype)}(${value});`;
}

/** How numbers get into a kernel: expressions for a u32 and an f32. What they are called is for the reader. */
export interface Numbers {
  count(name: string, value: number): string;
  constant(name: string, value: number): string;
}

/** In the text, where compilers make the most of them. */
export const LITERALS: Numbers = {
  count: (_, value) => `${value}u`,
  constant: (_, value) => literal(value),
};

/** A uniform block has 256 bytes. */
const MOST_WORDS = 64;

/**
 * As words that are added to `uniforms`: kernels that differ in numbers alone are then one text, which is compiled once.
 * For kernels whose speed is that of memory. What a block has no room for stays in the text.
 */
export function numbersIn(uniforms: Record<string, Dim>): Numbers {
  const word = (name: string, value: number): string | undefined => {
    const index = Object.keys(uniforms).length;
    if (index >= MOST_WORDS) return undefined;
    uniforms[`${name}_${index}`] = value;
    return `u.${name}_${index}`;
  };
  return {
    count: (name, value) => word(name, value) ?? LITERALS.count(name, value),
    constant(name, value) {
      const bits = word(name, f32Bits(value));
      return bits === undefined ? literal(value) : `bitcast<f32>(${bits})`;
    },
  };
}

/** A number as the word that `bitcast<f32>` makes it of. */
export function f32Bits(value: number): number {
  return new Uint32Array(Float32Array.of(finite(value)).buffer)[0]!;
}

/** Index of the element that holds group `group` (of `width` channels) of pixel `pixel`. */
export function elementIndex(
  view: View,
  width: Width,
  pixel: string,
  group: string,
  numbers: Numbers = LITERALS,
): string {
  if (view.stride % width !== 0 || view.offset % width !== 0) {
    internal(
      `slot ${view.slot}: stride ${view.stride} and offset ${view.offset} are not multiples of ${width}`,
    );
  }
  const stride = numbers.count('stride', view.stride / width);
  const offset = numbers.count('offset', view.offset / width);
  return `(${pixel}) * ${stride} + ${offset} + ${group}`;
}

/** A number as a WGSL f32 literal. */
export function literal(value: number): string {
  return finite(value) < 0 ? `(${value}f)` : `${value}f`;
}

function finite(value: number): number {
  return Number.isFinite(Math.fround(value)) ? value : internal(`${value} is not an f32 constant`);
}

export function groupsOf(channels: number): number {
  return Math.ceil(channels / 4);
}

/** 0 to count - 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function elementType(width: Width, dtype: DType): string {
  return width === 4 ? `vec4<${dtype}>` : dtype;
}

function mergeSlots(uses: readonly Use[]): Use[] {
  const slots: Use[] = [];
  for (const use of uses) {
    const known = slots[use.slot];
    const isOther = known && isTexture(known.access) !== isTexture(use.access);
    if (known && (known.dtype !== use.dtype || known.width !== use.width || isOther)) {
      internal(`slot ${use.slot} is used with two element types`);
    }
    slots[use.slot] = known?.access === 'read_write' ? known : use;
  }
  for (let slot = 0; slot < slots.length; slot++) if (!slots[slot]) internal(`slot ${slot} has no operand`);
  return slots;
}
