// Buffers that kernels read through textures. Drivers on the CPU load a texel of a storage texture several times faster
// than four numbers of a buffer, because they know that its lanes lie side by side; so before a step that wants it, the
// buffer is copied to a texture, its mirror. Mirrors live from their copy to the last step that reads it soon after.

import type { Sizes } from './dims.js';
import { checked } from './gpu.js';
import { isTexture, TEXTURE_WIDTH } from './kernels/text.js';
import { bufferBytes, type Life, place } from './memory.js';
import type { TextureCopy } from './pacer.js';
import type { Plan, TextureFormat } from './plan.js';

/** One copy of a buffer, and who reads it. */
export interface Mirror extends Life {
  readonly format: TextureFormat;
  readonly readers: readonly { readonly step: number; readonly binding: number }[];
}

export interface MirrorPlan {
  readonly textures: readonly { readonly format: TextureFormat; readonly bytes: number }[];
  /** By the step that reads them. */
  readonly steps: ReadonlyMap<number, readonly PlacedMirror[]>;
}

export interface PlacedMirror {
  readonly binding: number;
  readonly texture: number;
  /** Its buffer must be copied before this step. */
  readonly isFirst: boolean;
}

/** A mirror that is read again after so many steps is kept; after more, copying costs less than the memory. */
const KEPT_STEPS = 4;

/** The mirrors that steps `[start, end)` want, for tensors of these sizes. */
export function mirrorsOf({ steps, kernels, buffers }: Plan, range: Range, sizes: Sizes): Mirror[] {
  const mirrors: { -readonly [K in keyof Mirror]: Mirror[K] }[] = [];
  const current = new Map<number, (typeof mirrors)[number]>();
  for (let at = range.start; at < range.end; at++) {
    const { kernel, bindings, writes } = steps[at]!;
    for (const [binding, format] of kernels[kernel]!.bindings.entries()) {
      const bound = bindings[binding];
      if (!isTexture(format) || !bound || 'constant' in bound) continue;
      const known = current.get(bound.buffer);
      const reader = { step: at, binding };
      if (known && at - known.last <= KEPT_STEPS) {
        known.last = at;
        known.readers = [...known.readers, reader];
        continue;
      }
      const bytes = bufferBytes(buffers[bound.buffer]!, sizes);
      const mirror = { format, bytes, first: at, last: at, readers: [reader] };
      mirrors.push(mirror);
      current.set(bound.buffer, mirror);
    }
    current.delete(writes.buffer);
  }
  return mirrors;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Mirrors whose lives do not overlap share a texture. */
export function placeMirrors(mirrors: readonly Mirror[]): MirrorPlan {
  const textures: { format: TextureFormat; bytes: number }[] = [];
  const steps = new Map<number, PlacedMirror[]>();
  for (const format of new Set(mirrors.map((mirror) => mirror.format))) {
    const own = mirrors.filter((mirror) => mirror.format === format);
    const { slots, sizes } = place(own);
    for (const [i, { readers, first }] of own.entries()) {
      for (const { step, binding } of readers) {
        const placed = { binding, texture: textures.length + slots[i]!, isFirst: step === first };
        steps.set(step, [...(steps.get(step) ?? []), placed]);
      }
    }
    textures.push(...sizes.map((bytes) => ({ format, bytes })));
  }
  return { textures, steps };
}

export function mirrorBytes({ textures }: MirrorPlan): number {
  return textures.reduce((sum, { bytes }) => sum + bytes, 0);
}

const TEXEL_BYTES: Readonly<Record<TextureFormat, number>> = { rgba32float: 16, rgba16float: 8 };

/** Bytes of a tensor that the kernels can read at most: textures of every device have as many rows as columns. */
export function mostBytes({ kernels }: Pick<Plan, 'kernels'>, maxBinding: number): number {
  const formats = kernels.flatMap(({ bindings }) => bindings.filter(isTexture));
  return Math.min(maxBinding, ...formats.map((format) => TEXTURE_WIDTH ** 2 * TEXEL_BYTES[format]));
}

const TextureUsage = { copyDst: 2, storage: 8 } as const;

/** Textures that hold so many bytes of elements each, all or none. */
export async function createTextures(
  device: GPUDevice,
  what: string,
  wanted: MirrorPlan['textures'],
): Promise<readonly GPUTexture[]> {
  const textures: GPUTexture[] = [];
  try {
    await checked(device, what, () => {
      for (const { format, bytes } of wanted) {
        const texels = bytes / TEXEL_BYTES[format];
        const size = [Math.min(texels, TEXTURE_WIDTH), Math.ceil(texels / TEXTURE_WIDTH)];
        textures.push(
          device.createTexture({ format, size, usage: TextureUsage.copyDst | TextureUsage.storage }),
        );
      }
    });
    return textures;
  } catch (error) {
    for (const texture of textures) texture.destroy();
    throw error;
  }
}

/** A rectangle of texels, and the byte of the data where it begins. */
interface Block {
  readonly from: number;
  readonly row: number;
  readonly width: number;
  readonly rows: number;
  readonly bytesPerRow: number;
}

/** Bytes as whole rows and what is left of the last. */
function blocksOf(format: TextureFormat, bytes: number): Block[] {
  const texels = bytes / TEXEL_BYTES[format];
  const bytesPerRow = TEXTURE_WIDTH * TEXEL_BYTES[format];
  const rows = Math.floor(texels / TEXTURE_WIDTH);
  const rest = texels % TEXTURE_WIDTH;
  return [
    { from: 0, row: 0, width: TEXTURE_WIDTH, rows, bytesPerRow },
    { from: rows * bytesPerRow, row: rows, width: rest, rows: 1, bytesPerRow },
  ].filter((block) => block.width * block.rows > 0);
}

/** The copies that bring a mirror up to date. */
export function mirrorCopies(texture: GPUTexture, source: Required<GPUBufferBinding>): TextureCopy[] {
  const { buffer, offset, size } = source;
  return blocksOf(texture.format as TextureFormat, size).map(({ from, ...block }) => ({
    source: buffer,
    from: offset + from,
    texture,
    ...block,
  }));
}

/** Sends the elements of `data` to a texture. */
export function writeElements(
  queue: GPUQueue,
  texture: GPUTexture,
  data: ArrayBufferView<ArrayBuffer>,
): void {
  for (const { from, row, width, rows, bytesPerRow } of blocksOf(
    texture.format as TextureFormat,
    data.byteLength,
  )) {
    const layout = { offset: from, bytesPerRow, rowsPerImage: rows };
    queue.writeTexture({ texture, origin: [0, row] }, data, layout, [width, rows]);
  }
}
