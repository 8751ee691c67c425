// Where a layer puts its nodes: what the code behind a row of layers.ts sees of the graph under construction.

import type { Attrs, Init, Ref, TensorType } from '../compiler/graph.js';
import type { Source, Span } from '../diagnostics.js';
import type { TensorValue } from './values.js';

/** One statement of one copy of a body. */
export interface Site {
  readonly span: Span;
  /** The user's file (see Lowering). */
  readonly source: Source;
  /** Whether statistics are the batch's and state is updated, or both are as stored. */
  readonly training: boolean;
  /** A wrong shape becomes a diagnostic at the statement. */
  emit(op: string, inputs: readonly Ref[], attrs?: Attrs): Ref;
  /** The parameter `leaf` under the statement's path. */
  param(leaf: string, shape: readonly number[], init: Init): Ref;
  /** The same for state: saved, never given a gradient. */
  state(leaf: string, shape: readonly number[], init: Init): Ref;
  /** What the updates so far make of some state: a network that is applied twice goes on where it was. */
  current(state: Ref): Ref;
  update(state: Ref, value: Ref): void;
  type(ref: Ref): TensorType;
}

export type Layer = (site: Site, x: TensorValue) => Ref;

export const constant = (value: number): Init => ({ kind: 'constant', value });
