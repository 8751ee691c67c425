// The search behind tiles.ts: which cuts and which tiles compute an image with the least arithmetic in the memory
// there is. Dynamic programming over the cuts, on estimates for each pixel of the input; a range of steps is costed in
// one walk back from its end, so even 351 steps take a fraction of a second.

import { BackwardWalk, type Facts } from './halo.js';
import { roundUp } from './kernels/kernel.js';
import { constantBytes } from './memory.js';
import { type Choice, type Size, sum } from './schedule.js';

/** What moving a byte to or from a stash costs, in multiply-accumulates. */
const COST_PER_BYTE = 16;

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

/** Looks for the cheapest segments and tiles of one image size. */
export class TileSearch {
  readonly #facts: Facts;
  readonly #size: Size;
  readonly #tile: number | undefined;
  /** Bytes of the largest tensor that can be bound, and of all memory but the weights. */
  readonly #maxTensor: number;
  readonly #memory: number;
  /** Multiply-accumulates of one tile. */
  readonly #macs: number;
  /** Bytes that a cut before each step keeps, for each pixel of the input. */
  readonly #kept: readonly number[];
  readonly #cuts: ReadonlySet<number>;
  readonly #tensorBytes: readonly number[];
  readonly #firstUse: readonly number[];
  readonly #grids = new Map<string, Grid | undefined>();

  constructor(
    facts: Facts,
    size: Size,
    limits: { readonly maxTensor: number; readonly memory: number; readonly macs?: number },
    tile?: number,
  ) {
    const { plan, live, quadBytes, touched } = facts;
    this.#facts = facts;
    this.#size = size;
    this.#tile = tile;
    this.#maxTensor = limits.maxTensor;
    this.#macs = limits.macs ?? Infinity;
    this.#memory = limits.memory - sum(plan.constants.map(constantBytes));
    const inputs = new Set(plan.inputs.map(({ buffer }) => buffer));
    this.#kept = live.map((buffers) =>
      sum(buffers.map((quads, b) => (inputs.has(b) ? 0 : quadBytes[b]! * quads.filter(Boolean).length))),
    );
    const kept = (cut: number): number => this.#kept[cut] ?? Infinity;
    this.#cuts = new Set(
      [...live.keys()].filter((cut) => kept(cut) <= Math.min(kept(cut - 1), kept(cut + 1))),
    );
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
      const room = Math.min(this.#maxTensor / range.largest, this.#macs / range.macs);
      if (!this.#isPossible(range.halo, room)) break; // a longer range has a wider halo
      const prefix = prefixes.get(start);
      if (!prefix) continue;
      const pixels = this.#size.width * this.#size.height;
      const stashes = (this.#kept[start]! + range.stores) * pixels;
      const left = (this.#memory - stashes) / range.peak;
      const grid = this.#grid(range.halo, slack * Math.min(room, left));
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
