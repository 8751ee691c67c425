// A plan made concrete for one image size: which steps run together (segments), on which tiles, what is carried from
// segment to segment, and where every tensor lies. Exact bookkeeping; choosing segments and tiles is tiles.ts.
//
// A segment is run tile by tile. A tile is a rectangle of the input plus a halo; the halo ends at the image's
// border, so that zero padding happens there and nowhere else. What later segments need is kept for the whole image
// in a stash, cut into bands of rows where one buffer could not be bound.

import { evalDim, type Sizes } from './dims.js';
import { type Facts, quadsOf, walkRange } from './halo.js';
import { roundUp } from './kernels/kernel.js';
import { ALIGNMENT, bufferBytes, bytesPerElement, constantBytes, type Life, place } from './memory.js';
import { type MirrorPlan, mirrorBytes, mirrorsOf, placeMirrors } from './mirrors.js';
import type { Axis, Operand, Plan, PlanBuffer, Port, Step } from './plan.js';

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** One tile along one axis, in pixels of the input: it is responsible for `[start, end)` and computes `[from, to)`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

export interface Segment {
  /** Steps `[start, end)`. */
  readonly start: number;
  readonly end: number;
  readonly halo: number;
  readonly rows: readonly Extent[];
  readonly columns: readonly Extent[];
  /** The largest tile with its halo: what the tensors are allocated for. */
  readonly largest: Size;
  /** Inputs of the plan that are sent to the device for each tile, and outputs that are read back. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly loads: readonly Transfer[];
  readonly stores: readonly Transfer[];
  /** The physical buffer of each plan buffer that the segment uses. */
  readonly slots: ReadonlyMap<number, number>;
}

/** A channel range that moves between a tile and a stash. */
export interface Transfer {
  readonly operand: Operand;
  readonly stash: number;
}

/** A tensor that is kept for the whole image between segments. */
export interface Stash {
  readonly operand: Operand;
  readonly bands: readonly Band[];
}

/** Rows `[from, to)` of a stash, in the tensor's own pixels, and the physical buffer that holds them. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly slot: number;
}

export interface Memory {
  /** Every buffer of the plan at once, for the whole image. */
  readonly naive: number;
  /** The physical buffers and textures. */
  readonly planned: number;
  /** Of these, the textures. */
  readonly mirrors: number;
  readonly constants: number;
  readonly largestBinding: number;
}

/** A rectangle of tiles or parts: one extent along each axis. */
export interface Part {
  readonly rows: Extent;
  readonly columns: Extent;
}

export interface Schedule {
  /** Of the input, padded to the plan's alignment. */
  readonly image: Size;
  /**
   * What is run at a time, as if it were an image of `size`: the whole image, or where even its stashes do not fit,
   * overlapping parts of it.
   */
  readonly parts: readonly Part[];
  readonly size: Size;
  readonly segments: readonly Segment[];
  readonly stashes: readonly Stash[];
  /** Bytes of each physical buffer. */
  readonly slotBytes: readonly number[];
  readonly mirrors: MirrorPlan;
  readonly memory: Memory;
  /** Multiply-accumulates including halos, and without any. */
  readonly macs: number;
  readonly plainMacs: number;
}

/** What the search chooses: steps from the previous cut (or 0) to `end` in tiles of at most `tile`, halo not counted. */
export interface Choice {
  readonly end: number;
  readonly tile: Size;
}

/** A stash under construction: alive from the first step of its segment to the last of the last one that reads it. */
interface Draft {
  readonly operand: Operand;
  readonly first: number;
  last: number;
}

export function buildSchedule(
  facts: Facts,
  size: Size,
  choices: readonly Choice[],
  maxBand: number,
): Schedule {
  const { plan } = facts;
  const stashes: Draft[] = [];
  const owners = plan.buffers.map(({ stride }) => new Int32Array(stride / 4).fill(NOBODY));
  const lives: Life[] = [];
  const drafts = choices.map(({ end, tile }, i) => {
    const start = choices[i - 1]?.end ?? 0;
    const range = { start, end };
    const walk = walkRange(facts, start, end);
    const loaded = walk.loads();
    const inputs = plan.inputs.filter(({ buffer }) => loaded.some((operand) => operand.buffer === buffer));
    const outputs = [...facts.results].flatMap(([step, ports]) => (step >= start && step < end ? ports : []));
    const loads = loaded.flatMap((operand) => owned(operand, owners[operand.buffer]!));
    for (const { stash } of loads) stashes[stash]!.last = after(end);
    const stores = walk.stores().map((operand): Transfer => {
      const stash = stashes.push({ operand, first: before(start), last: after(end) }) - 1;
      const [from, to] = quadsOf(operand);
      owners[operand.buffer]!.fill(stash, from, to);
      return { operand, stash };
    });
    const rows = splitAxis(size.height, tile.height, walk.halo);
    const columns = splitAxis(size.width, tile.width, walk.halo);
    const largest = { height: longest(rows), width: longest(columns) };
    const tensors = localLives(facts, range, largest, {
      early: [...inputs, ...loads.map(({ operand }) => operand)],
      late: [...outputs, ...stores.map(({ operand }) => operand)],
    });
    const firstLife = lives.length;
    lives.push(...tensors.values());
    return {
      ...range,
      halo: walk.halo,
      rows,
      columns,
      largest,
      inputs,
      outputs,
      loads,
      stores,
      lives: new Map([...tensors.keys()].map((buffer, k) => [buffer, firstLife + k])),
    };
  });
  const bands = stashes.map(({ operand, first, last }) =>
    bandsOf(plan.buffers[operand.buffer]!, operand.channels, size, maxBand).map((band) => ({
      ...band,
      life: lives.push({ bytes: band.bytes, first, last }) - 1,
    })),
  );
  const { slots, sizes } = place(lives);
  const mirrors = placeMirrors(
    drafts.flatMap((segment) => mirrorsOf(plan, segment, sizesOf(segment.largest))),
  );
  const slotOf = (life: number): number => slots[life]!;
  const segments = drafts.map(({ lives: own, ...segment }) => ({
    ...segment,
    slots: new Map([...own].map(([buffer, life]) => [buffer, slotOf(life)])),
  }));
  const constants = plan.constants.map(constantBytes);
  return {
    image: size,
    parts: [{ rows: whole(size.height), columns: whole(size.width) }],
    size,
    segments,
    stashes: stashes.map(({ operand }, i) => ({
      operand,
      bands: bands[i]!.map(({ from, to, life }) => ({ from, to, slot: slotOf(life) })),
    })),
    slotBytes: sizes,
    mirrors,
    memory: {
      naive: sum(plan.buffers.map((buffer) => bufferBytes(buffer, sizesOf(size)))),
      planned: sum(sizes) + mirrorBytes(mirrors),
      mirrors: mirrorBytes(mirrors),
      constants: sum(constants),
      largestBinding: Math.max(...constants, ...sizes),
    },
    macs: sum(segments.map((segment) => segmentMacs(facts, segment))),
    plainMacs: sum(plan.steps.map((step) => stepMacs(step, plan.buffers, sizesOf(size)))),
  };
}

const NOBODY = -1;

/** Moments: step s runs at 3s + 1; the range [a, b) loads at 3a and stores at 3b - 1. */
function before(start: number): number {
  return 3 * start;
}

function after(end: number): number {
  return 3 * end - 1;
}

/** The parts of `operand` that lie in stashes, by the stash each is in. */
function owned(operand: Operand, owners: Int32Array): Transfer[] {
  const [from, to] = quadsOf(operand);
  const parts: Transfer[] = [];
  for (let quad = from; quad < to; ) {
    const stash = owners[quad]!;
    let next = quad + 1;
    while (next < to && owners[next] === stash) next++;
    if (stash !== NOBODY) {
      parts.push({ stash, operand: { ...operand, offset: 4 * quad, channels: 4 * (next - quad) } });
    }
    quad = next;
  }
  return parts;
}

export function splitAxis(size: number, tile: number, halo: number): Extent[] {
  const extents: Extent[] = [];
  for (let start = 0; start < size; start += tile) {
    const end = Math.min(size, start + tile);
    extents.push({ start, end, from: Math.max(0, start - halo), to: Math.min(size, end + halo) });
  }
  return extents;
}

function whole(size: number): Extent {
  return { start: 0, end: size, from: 0, to: size };
}

function longest(extents: readonly Extent[]): number {
  return Math.max(...extents.map(({ from, to }) => to - from));
}

/** The lives of the tensors of a tile: of each buffer that steps `[start, end)` touch. */
function localLives(
  { plan, touched }: Facts,
  { start, end }: { start: number; end: number },
  tile: Size,
  transfers: { early: readonly { buffer: number }[]; late: readonly { buffer: number }[] },
): Map<number, Life> {
  const touches = [
    ...transfers.early.map(({ buffer }) => ({ buffer, at: before(start) })),
    ...touched
      .slice(start, end)
      .flatMap((step, i) => step.map((buffer) => ({ buffer, at: 3 * (start + i) + 1 }))),
    ...transfers.late.map(({ buffer }) => ({ buffer, at: after(end) })),
  ];
  const lives = new Map<number, Life>();
  for (const { buffer, at } of touches) {
    const bytes = bufferBytes(plan.buffers[buffer]!, sizesOf(tile));
    lives.set(buffer, { bytes, first: lives.get(buffer)?.first ?? at, last: at });
  }
  return lives;
}

/** Rows of a whole-image tensor in as few bands as `maxBand` bytes allow. */
function bandsOf(buffer: PlanBuffer, channels: number, size: Size, maxBand: number) {
  const [, height, width] = buffer.dims.map((dim) => evalDim(dim, sizesOf(size))) as [number, number, number];
  const rowBytes = width * channels * bytesPerElement(buffer.dtype);
  const rows = Math.max(1, Math.floor(maxBand / rowBytes));
  const bands = [];
  for (let from = 0; from < height; from += rows) {
    const to = Math.min(height, from + rows);
    bands.push({ from, to, bytes: roundUp((to - from) * rowBytes, ALIGNMENT) });
  }
  return bands;
}

export function sizesOf({ height, width }: Size): Sizes {
  return { n: 1, h: height, w: width };
}

export function axisGroups(axes: Step['workgroups'], sizes: Sizes): readonly [number, number, number] {
  const count = (axis: Axis): number =>
    axis.reduce((product, { dim, per }) => product * Math.ceil(evalDim(dim, sizes) / per), 1);
  return [count(axes[0]), count(axes[1]), count(axes[2])];
}

function segmentMacs({ plan }: Facts, segment: Segment): number {
  const total = (extents: readonly Extent[]): number => sum(extents.map(({ from, to }) => to - from));
  return macsOf(plan, segment, { height: total(segment.rows), width: total(segment.columns) });
}

/** Multiply-accumulates of a segment's steps on an image of `size`. */
export function macsOf(
  { steps, buffers }: Plan,
  { start, end }: Pick<Segment, 'start' | 'end'>,
  size: Size,
): number {
  return sum(steps.slice(start, end).map((step) => stepMacs(step, buffers, sizesOf(size))));
}

/** Multiply-accumulates of a step. */
export function stepMacs(step: Step, buffers: readonly PlanBuffer[], sizes: Sizes): number {
  const { dims } = buffers[step.writes.buffer]!;
  return dims.reduce<number>((product, dim) => product * evalDim(dim, sizes), step.macs);
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
