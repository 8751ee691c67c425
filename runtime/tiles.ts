// Chooses how a plan runs for an image size on a device: whole where that fits, else cut into segments of steps, each
// in its own tiles. A long segment needs a wide halo, computed again by every tile; a cut needs a stash. Dynamic
// programming over the cuts finds the cheapest combination; schedule.ts then says exactly whether it fits.

import { fail } from '../diagnostics.js';
import { printBytes } from './gpu.js';
import { BackwardWalk, type Facts, walkRange } from './halo.js';
import { roundUp } from './kernels/kernel.js';
import { constantBytes } from './memory.js';
import {
  axisGroups,
  buildSchedule,
  type Choice,
  type Extent,
  type Schedule,
  type Size,
  sizesOf,
  splitAxis,
  sum,
} from './schedule.js';

export interface Limits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Bytes of device memory to use at most. */
  readonly memory: number;
}

/** What moving a byte to or from a stash costs, in multiply-accumulates. */
const COST_PER_BYTE = 16;
/** The search estimates memory; where the exact sum is larger, it tries again with this much of the room. */
const SLACKS = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];

/** `tile`: side of the tiles in pixels of the input, without their halo; by default as large as fits. */
export function planTiles(facts: Facts, image: Size, limits: Limits, tile?: number): Schedule {
  const { plan } = facts;
  const size = roundSize(image, plan.align);
  const side = tile && roundUp(tile, plan.align);
  const whole = findSchedule(facts, size, limits, side);
  if (whole && (tile || overhead(whole) < GOOD_ENOUGH)) return whole;
  const parts = findParts(facts, size, limits, side);
  const found = [whole, parts].filter((schedule) => schedule !== undefined);
  return cheapest(found) ?? failSize(facts, size, limits, tile);
}

/** Recomputed pixels that are not worth a further search, as a factor on the arithmetic. */
const GOOD_ENOUGH = 1.5;

function overhead({ macs, plainMacs }: Schedule): number {
  return macs / plainMacs;
}

function cheapest(schedules: readonly Schedule[]): Schedule | undefined {
  return schedules.reduce<Schedule | undefined>((a, b) => (a && a.macs <= b.macs ? a : b), undefined);
}

/** The size that an image is padded to. */
export function roundSize({ width, height }: Size, align: number): Size {
  return { width: roundUp(width, align), height: roundUp(height, align) };
}

/** Every further try has this share of the pixels of the one before. */
const SHRINK = 0.6;

/** Overlapping parts of the image, for images whose stashes do not fit: large ones, but with room for large tiles. */
function findParts(facts: Facts, size: Size, limits: Limits, tile?: number): Schedule | undefined {
  const { align, steps } = facts.plan;
  const halo = roundUp(walkRange(facts, 0, steps.length).halo, align);
  let best: Schedule | undefined;
  for (let area = SHRINK * size.width * size.height; area >= (2 * halo + align) ** 2; area *= SHRINK) {
    const side = Math.sqrt(area);
    const columns = partsOf(size.width, Math.max(side, area / size.height), halo, align);
    const rows = partsOf(size.height, Math.max(side, area / size.width), halo, align);
    const schedule = findSchedule(facts, { width: columns.span, height: rows.span }, limits, tile);
    if (!schedule) continue;
    const parts = rows.extents.flatMap((row) =>
      columns.extents.map((column) => ({ rows: row, columns: column })),
    );
    const share = (columns.span * rows.span) / (size.width * size.height);
    const next = {
      ...schedule,
      image: size,
      parts,
      macs: schedule.macs * parts.length,
      plainMacs: schedule.plainMacs / share,
    };
    if (best && best.macs <= next.macs) return best;
    best = next;
  }
  return best;
}

/** As few windows of one size, at most `longest`, as cover an axis with halos; at its ends they reach further inside. */
function partsOf(
  size: number,
  longest: number,
  halo: number,
  align: number,
): { span: number; extents: Extent[] } {
  const count = size <= longest ? 1 : Math.ceil(size / (Math.floor((longest - 2 * halo) / align) * align));
  const core = roundUp(Math.ceil(size / count), align);
  const span = Math.min(size, core + 2 * halo);
  const extents = splitAxis(size, core, halo).map(({ start, end }): Extent => {
    const from = Math.min(Math.max(0, start - halo), size - span);
    return { start, end, from, to: from + span };
  });
  return { span, extents };
}

function findSchedule(facts: Facts, size: Size, limits: Limits, tile?: number): Schedule | undefined {
  const maxTensor = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const build = (choices: readonly Choice[]): Schedule | undefined => {
    const schedule = buildSchedule(facts, size, choices, maxTensor);
    return fits(facts, schedule, limits) ? schedule : undefined;
  };
  const isWhole = tile === undefined || tile >= Math.max(size.width, size.height);
  const whole = isWhole ? build([{ end: facts.plan.steps.length, tile: size }]) : undefined;
  if (whole || facts.scales.includes(undefined)) return whole;
  const search = new Search(facts, size, limits, tile);
  for (const slack of SLACKS) {
    const choices = search.cheapest(slack);
    if (!choices) return undefined;
    const schedule = build(choices);
    if (schedule) return schedule;
  }
  return undefined;
}

function fits({ plan }: Facts, { segments, memory }: Schedule, limits: Limits): boolean {
  const maxTensor = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return (
    memory.largestBinding <= maxTensor &&
    memory.planned + memory.constants <= limits.memory &&
    segments.every(({ start, end, largest }) =>
      plan.steps
        .slice(start, end)
        .every(({ workgroups }) =>
          axisGroups(workgroups, sizesOf(largest)).every((n) => n <= limits.maxComputeWorkgroupsPerDimension),
        ),
    )
  );
}

/** The cheapest way to run the steps before a cut, as far as it is known. */
interface Prefix {
  readonly cost: number;
  readonly choices: readonly Choice[];
}

/** Tiles without their halo, and the pixels that they compute with it. */
interface Grid {
  readonly tile: Size;
  readonly area: number;
}

/** A range of steps as the search sees it: everything for each pixel of the input. */
interface Range {
  readonly macs: number;
  readonly halo: number;
  /** Bytes of the largest tensor, and of all that are alive at once. */
  readonly largest: number;
  readonly peak: number;
  /** Bytes read from and written to stashes. */
  readonly loads: number;
  readonly stores: number;
}

class Search {
  readonly #facts: Facts;
  readonly #size: Size;
  readonly #limits: Limits;
  readonly #tile: number | undefined;
  /** Bytes that a cut before each step keeps, for each pixel of the input. */
  readonly #kept: readonly number[];
  readonly #cuts: ReadonlySet<number>;
  readonly #tensorBytes: readonly number[];
  readonly #firstUse: readonly number[];
  readonly #constants: number;
  readonly #grids = new Map<string, Grid | undefined>();

  constructor(facts: Facts, size: Size, limits: Limits, tile: number | undefined) {
    const { plan, live, quadBytes, touched } = facts;
    this.#facts = facts;
    this.#size = size;
    this.#limits = limits;
    this.#tile = tile;
    const inputs = new Set(plan.inputs.map(({ buffer }) => buffer));
    this.#kept = live.map((buffers) =>
      sum(buffers.map((quads, b) => (inputs.has(b) ? 0 : quadBytes[b]! * quads.filter(Boolean).length))),
    );
    const kept = (cut: number): number => this.#kept[cut] ?? Infinity;
    this.#cuts = new Set(
      [...live.keys()].filter((cut) => kept(cut) <= Math.min(kept(cut - 1), kept(cut + 1))),
    );
    this.#constants = sum(plan.constants.map(constantBytes));
    this.#tensorBytes = plan.buffers.map(({ stride }, b) => (stride / 4) * quadBytes[b]!);
    this.#firstUse = plan.buffers.map((_, b) =>
      inputs.has(b) ? -1 : touched.findIndex((step) => step.includes(b)),
    );
  }

  /** Segments and tiles that fit into `slack` of the room there is; undefined when none do. */
  cheapest(slack: number): readonly Choice[] | undefined {
    const end = this.#facts.plan.steps.length;
    const prefixes = new Map<number, Prefix>([[0, { cost: 0, choices: [] }]]);
    for (let cut = 1; cut <= end; cut++) {
      if (!this.#cuts.has(cut) && cut !== end) continue;
      const prefix = this.#cheapestTo(cut, prefixes, slack);
      if (prefix) prefixes.set(cut, prefix);
    }
    return prefixes.get(end)?.choices;
  }

  #cheapestTo(end: number, prefixes: ReadonlyMap<number, Prefix>, slack: number): Prefix | undefined {
    let best: Prefix | undefined;
    for (const [start, range] of this.#rangesTo(end)) {
      const room = this.#limits.maxStorageBufferBindingSize / range.largest;
      if (!this.#isPossible(range.halo, room)) break; // a longer range has a wider halo
      const prefix = prefixes.get(start);
      if (!prefix) continue;
      const pixels = this.#size.width * this.#size.height;
      const stashes = (this.#kept[start]! + range.stores) * pixels;
      const left = this.#limits.memory - this.#constants - stashes;
      const grid = this.#grid(range.halo, slack * Math.min(room, left / range.peak));
      if (!grid) continue;
      const transfers = COST_PER_BYTE * (range.loads * grid.area + range.stores * pixels);
      const cost = prefix.cost + range.macs * grid.area + transfers;
      if (!best || cost < best.cost) {
        best = { cost, choices: [...prefix.choices, { end, tile: grid.tile }] };
      }
    }
    return best;
  }

  /** The ranges that end at a cut, from the shortest on, worked out in one walk back. */
  *#rangesTo(end: number): Generator<[start: number, Range]> {
    const { plan, scales, live, touched } = this.#facts;
    const walk = new BackwardWalk(this.#facts, live[end]!);
    const seen = new Set<number>();
    let macs = 0;
    let largest = 0;
    let alive = 0;
    let peak = 0;
    for (let start = end - 1; start >= 0; start--) {
      const step = plan.steps[start]!;
      walk.step(start);
      const { mul, div } = scales[step.writes.buffer]!;
      macs += step.macs * (mul / div) ** 2;
      for (const buffer of touched[start]!) {
        if (seen.has(buffer)) continue;
        seen.add(buffer);
        const bytes = this.#tensorBytes[buffer]!;
        largest = Math.max(largest, bytes);
        alive += bytes;
        if (live[end]![buffer]!.includes(1)) peak += bytes; // kept until the end: beside all that came later
      }
      peak = Math.max(peak, alive);
      if (start === 0 || this.#cuts.has(start)) {
        yield [
          start,
          { macs, halo: walk.halo, largest, peak, loads: walk.loadBytes, stores: walk.storeBytes },
        ];
      }
      for (const buffer of touched[start]!) {
        if (this.#firstUse[buffer] === start) alive -= this.#tensorBytes[buffer]!;
      }
    }
  }

  /** Whether any tile at all fits. */
  #isPossible(halo: number, room: number): boolean {
    const { width, height } = this.#size;
    const side = this.#tile ?? this.#facts.plan.align;
    return spans(width, side, halo).longest * spans(height, side, halo).longest <= room;
  }

  /** The grid of tiles of at most `room` pixels with their halo that computes the fewest pixels. */
  #grid(halo: number, room: number): Grid | undefined {
    const key = `${halo} ${room}`;
    if (!this.#grids.has(key)) this.#grids.set(key, this.#findGrid(halo, room));
    return this.#grids.get(key);
  }

  #findGrid(halo: number, room: number): Grid | undefined {
    const { width, height } = this.#size;
    const { align } = this.#facts.plan;
    let best: Grid | undefined;
    const consider = (tile: Size): void => {
      const [x, y] = [spans(width, tile.width, halo), spans(height, tile.height, halo)];
      const area = x.total * y.total;
      if (x.longest * y.longest <= room && !(best && best.area <= area)) best = { tile, area };
    };
    if (this.#tile !== undefined) {
      consider({ width: Math.min(width, this.#tile), height: Math.min(height, this.#tile) });
      return best;
    }
    for (let columns = 1; columns <= width / align; columns = Math.ceil(columns * 1.1 + 0.5)) {
      const tileWidth = roundUp(Math.ceil(width / columns), align);
      const tallest = Math.floor(room / spans(width, tileWidth, halo).longest);
      const tileHeight = largestTile(height, tallest, halo, align);
      if (tileHeight > 0) consider({ width: tileWidth, height: tileHeight });
      if (tileHeight === height) break; // more columns only add halos
    }
    return best;
  }
}

/** The side of as few tiles as possible that are no longer than `longest` with their halo; 0: there are none. */
function largestTile(size: number, longest: number, halo: number, align: number): number {
  if (size <= longest) return size;
  const half = roundUp(Math.ceil(size / 2), align);
  if (half + halo <= longest) return half;
  const side = Math.floor((longest - 2 * halo) / align) * align;
  return side <= 0 ? 0 : roundUp(Math.ceil(size / Math.ceil(size / side)), align);
}

/** The pixels along one axis that tiles of `tile` compute: the longest one, and all. */
function spans(size: number, tile: number, halo: number): { longest: number; total: number } {
  const count = Math.ceil(size / tile);
  if (count === 1) return { longest: size, total: size };
  const inner = Math.min(size, tile + 2 * halo);
  const outer = Math.min(size, tile + halo);
  return { longest: count === 2 ? outer : inner, total: 2 * outer + (count - 2) * inner };
}

function failSize(facts: Facts, size: Size, limits: Limits, tile: number | undefined): never {
  const { memory } = buildSchedule(facts, size, [{ end: facts.plan.steps.length, tile: size }], Infinity);
  const enough = [2, 4, 8, 16, 32, 64]
    .map((factor) => factor * limits.memory)
    .find((bytes) => findSchedule(facts, size, { ...limits, memory: bytes }, tile));
  const maxTensor = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  fail(`${size.width}x${size.height} does not fit the device${tile ? ` in tiles of ${tile}` : ''}`, {
    notes: [
      `whole, it needs ${printBytes(memory.planned + memory.constants)}, and ${printBytes(memory.largestBinding)} in one tensor`,
      `there are ${printBytes(limits.memory)}, and ${printBytes(maxTensor)} for one tensor`,
      ...(enough ? [`with ${printBytes(enough)} it would fit`] : []),
    ],
    help: tile ? 'use a smaller --tile, or leave it out' : 'use --precision f16, or a smaller image',
  });
}
