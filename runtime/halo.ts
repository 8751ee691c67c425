// How far a range of steps looks. Walking a range backwards from what it must leave behind gives what it must be
// handed, and the margin that tiles need so that their inner pixels equal those of the whole image, exactly.
//
// Everything is tracked per quad (four channels, the plan's granule): a conv of a dense block reads only the part
// of its slab that earlier steps have written.

import { internal } from '../diagnostics.js';
import { type Dim, isSymbolic, type SymbolicDim } from './dims.js';
import { bytesPerElement } from './memory.js';
import type { Operand, Plan, PlanBuffer, Port, Step } from './plan.js';

/** Pixels of a buffer for each pixel of the network's input, the same along both axes: `mul / div`. */
export interface Scale {
  readonly mul: number;
  readonly div: number;
}

/** `count` pixels of the network's input in pixels of a buffer. */
export function pixels(count: number, { mul, div }: Scale): number {
  return (count * mul) / div;
}

/** Undefined where the tensor is no scaled copy of the image (fixed sizes, unpadded convs): such a plan runs whole. */
export function scaleOf({ dims: [, height, width] }: Pick<PlanBuffer, 'dims'>): Scale | undefined {
  if (!isScaled(height, 'h') || !isScaled(width, 'w')) return undefined;
  const { mul, div } = height;
  return width.mul === mul && width.div === div ? { mul, div } : undefined;
}

function isScaled(dim: Dim, sym: string): dim is SymbolicDim {
  return isSymbolic(dim) && dim.sym === sym && dim.add === 0;
}

/** Per buffer, which quads hold something that is still to be read: liveness at a cut between two steps. */
export type Live = readonly Uint8Array[];

/** What every walk over a plan needs to know, worked out once. */
export interface Facts {
  readonly plan: Plan;
  /** Of each buffer. */
  readonly scales: readonly (Scale | undefined)[];
  /** Bytes of one quad of each buffer for each pixel of the network's input. */
  readonly quadBytes: readonly number[];
  /** The buffers that each step reads, writes or binds. */
  readonly touched: readonly (readonly number[])[];
  /** The outputs that are complete with a step, and leave the device then. */
  readonly results: ReadonlyMap<number, readonly Port[]>;
  /** Before each step and after the last one. */
  readonly live: readonly Live[];
}

export function factsOf(plan: Plan): Facts {
  const scales = plan.buffers.map(scaleOf);
  const quadBytes = plan.buffers.map(({ dtype }, i) => {
    const { mul, div } = scales[i] ?? { mul: 1, div: 1 };
    return 4 * bytesPerElement(dtype) * (mul / div) ** 2;
  });
  const results = new Map<number, Port[]>();
  for (const port of plan.outputs) {
    const step = plan.steps.findLastIndex(({ writes }) => writes.buffer === port.buffer);
    results.set(step, [...(results.get(step) ?? []), port]);
  }
  const touched = plan.steps.map(buffersOf);
  const facts = { plan, scales, quadBytes, touched, results };
  return { ...facts, live: liveness(facts) };
}

type StaticFacts = Omit<Facts, 'live'>;

const UNWANTED = -1;

/** Walks back over the steps that end at a cut; after each step it knows the needs of the range from there. */
export class BackwardWalk {
  /** The halo of the range in pixels of the network's input; infinite where the plan cannot be tiled. */
  halo = 0;
  /** Bytes to load before and to keep after the range, for each pixel of the input. */
  loadBytes = 0;
  storeBytes = 0;

  readonly #facts: StaticFacts;
  /** Per quad: the margin wanted around a tile, in the buffer's own pixels. */
  readonly #wanted: readonly Int32Array[];
  /** Quads to leave behind whose last writer the walk has not met, and those it has. */
  readonly #awaited: readonly Uint8Array[];
  readonly #stored: readonly Uint8Array[];

  constructor(facts: StaticFacts, live: Live) {
    this.#facts = facts;
    this.#wanted = live.map((quads) => new Int32Array(quads.length).fill(UNWANTED));
    this.#awaited = live.map((quads) => quads.slice());
    this.#stored = live.map((quads) => new Uint8Array(quads.length));
  }

  step(index: number): void {
    const { writes, reads } = this.#facts.plan.steps[index]!;
    for (const { buffer, channels } of this.#facts.results.get(index) ?? []) {
      this.#want({ buffer, offset: 0, channels }, 0);
    }
    const margin = this.#produce(writes);
    for (const read of reads) {
      const { mul, div, add } = read.reach;
      this.#want(read, Math.ceil((margin * mul) / div) + add);
    }
  }

  /** What the range reads and does not write first. */
  loads(): Operand[] {
    return this.#wanted.flatMap((quads, buffer) => runs(buffer, quads, (margin) => margin !== UNWANTED));
  }

  /** What the range writes and later steps read. */
  stores(): Operand[] {
    return this.#stored.flatMap((quads, buffer) => runs(buffer, quads, (flag) => flag === 1));
  }

  /** Which quads of a buffer the range reads and does not write first. */
  wantedOf(buffer: number): Uint8Array {
    return Uint8Array.from(this.#wanted[buffer]!, (margin) => Number(margin !== UNWANTED));
  }

  /** Takes the written quads off the wanted ones and returns the largest margin wanted of them. */
  #produce(operand: Operand): number {
    const wanted = this.#wanted[operand.buffer]!;
    const awaited = this.#awaited[operand.buffer]!;
    const bytes = this.#facts.quadBytes[operand.buffer]!;
    const [from, to] = quadsOf(operand);
    let margin = 0;
    for (let quad = from; quad < to; quad++) {
      if (wanted[quad] !== UNWANTED) {
        margin = Math.max(margin, wanted[quad]!);
        wanted[quad] = UNWANTED;
        this.loadBytes -= bytes;
      }
      if (awaited[quad]) {
        awaited[quad] = 0;
        this.#stored[operand.buffer]![quad] = 1;
        this.storeBytes += bytes;
      }
    }
    return margin;
  }

  #want(operand: Operand, margin: number): void {
    const wanted = this.#wanted[operand.buffer]!;
    const [from, to] = quadsOf(operand);
    for (let quad = from; quad < to; quad++) {
      if (wanted[quad] === UNWANTED) this.loadBytes += this.#facts.quadBytes[operand.buffer]!;
      wanted[quad] = Math.max(wanted[quad]!, margin);
    }
    const scale = this.#facts.scales[operand.buffer];
    this.halo = Math.max(this.halo, scale ? Math.ceil((margin * scale.div) / scale.mul) : Infinity);
  }
}

/** Only inputs may be live before step 0. */
function liveness(facts: StaticFacts): readonly Live[] {
  const { plan } = facts;
  const none = nothing(plan);
  const walk = new BackwardWalk(facts, none);
  const cuts = [none];
  for (let index = plan.steps.length - 1; index >= 0; index--) {
    walk.step(index);
    const cut = [...cuts.at(-1)!];
    for (const buffer of facts.touched[index]!) cut[buffer] = walk.wantedOf(buffer);
    cuts.push(cut);
  }
  for (const { buffer } of walk.loads()) {
    if (!plan.inputs.some((port) => port.buffer === buffer)) {
      internal(`plan "${plan.name}" reads ${plan.buffers[buffer]!.name} before it is written`);
    }
  }
  return cuts.reverse();
}

/** A walk over the steps `[start, end)`. */
export function walkRange(facts: Facts, start: number, end: number): BackwardWalk {
  const walk = new BackwardWalk(facts, facts.live[end]!);
  for (let index = end - 1; index >= start; index--) walk.step(index);
  return walk;
}

/** The halo of the whole plan: pixels of the input between an output pixel and the farthest one it depends on. */
export function receptiveRadius(plan: Plan): number {
  return walkRange(factsOf(plan), 0, plan.steps.length).halo;
}

function nothing(plan: Plan): Live {
  return plan.buffers.map(({ stride }) => new Uint8Array(stride / 4));
}

function buffersOf({ reads, writes, bindings }: Step): number[] {
  const bound = bindings.flatMap((binding) => ('buffer' in binding ? [binding.buffer] : []));
  return [...new Set([...bound, writes.buffer, ...reads.map(({ buffer }) => buffer)])];
}

/** The quads of an operand, `[from, to)`. */
export function quadsOf({ offset, channels }: Operand): readonly [from: number, to: number] {
  return [Math.floor(offset / 4), Math.ceil((offset + channels) / 4)];
}

/** The maximal runs of quads that satisfy `test`, as operands. */
function runs<T extends Int32Array | Uint8Array>(
  buffer: number,
  quads: T,
  test: (value: number) => boolean,
): Operand[] {
  const found: Operand[] = [];
  for (let from = 0; from < quads.length; from++) {
    if (!test(quads[from]!)) continue;
    let to = from + 1;
    while (to < quads.length && test(quads[to]!)) to++;
    found.push({ buffer, offset: 4 * from, channels: 4 * (to - from) });
    from = to;
  }
  return found;
}
