// Shape arithmetic shared by the op records: reading NCHW types, symbolic division, broadcasting.

import { type Dim, printDim, sameDim } from '../../runtime/dims.js';
import type { TensorType } from '../graph.js';
import { ShapeError } from './op.js';

/** `f32[n,64,h,w]` */
export function printType(type: TensorType): string {
  return `f32[${type.shape.map(printDim).join(',')}]`;
}

/** `(64, h, w)`: what people see, without the batch. */
export function printImage(type: TensorType): string {
  return `(${type.shape.slice(1).map(printDim).join(', ')})`;
}

export interface ImageType {
  readonly n: Dim;
  readonly c: number;
  readonly h: Dim;
  readonly w: Dim;
}

export function image(type: TensorType | undefined, op: string): ImageType {
  const [n, c, h, w] = type?.shape ?? [];
  if (type?.shape.length !== 4 || n === undefined || h === undefined || w === undefined) {
    throw new ShapeError(
      `${op} needs an image (channels, height, width), got ${type ? printType(type) : 'nothing'}`,
    );
  }
  if (typeof c !== 'number')
    throw new ShapeError(`${op} needs a fixed number of channels, got ${printType(type)}`);
  return { n, c, h, w };
}

export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a === b || (a.length === b.length && a.every((dim, i) => sameDim(dim, b[i] as Dim)));
}

/** How the second operand of a pointwise op meets the first. */
export type Broadcast = 'same' | 'channel' | 'scalar';

export function broadcastOf(a: TensorType, b: TensorType, op: string): Broadcast {
  if (sameShape(a.shape, b.shape)) return 'same';
  if (b.shape.length === 0) return 'scalar';
  if (b.shape.length === 1 && a.shape.length === 4 && sameDim(b.shape[0] as Dim, a.shape[1] as Dim))
    return 'channel';
  throw new ShapeError(`${op} needs two tensors of one shape, got ${printType(a)} and ${printType(b)}`);
}
