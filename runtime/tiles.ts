// Chooses how a plan runs for an image size on a device: whole where that fits, else cut into segments of steps, each
// in its own tiles, else in overlapping parts of the image. A long segment needs a wide halo, computed again by every
// tile; a cut needs a stash. tile-search.ts proposes, schedule.ts says exactly whether a proposal fits.

import { fail } from '../diagnostics.js';
import { printBytes } from './gpu.js';
import { type Facts, walkRange } from './halo.js';
import { roundUp } from './kernels/kernel.js';
import { mostBytes } from './mirrors.js';
import {
  axisGroups,
  buildSchedule,
  type Choice,
  type Extent,
  macsOf,
  type Schedule,
  type Segment,
  type Size,
  sizesOf,
  splitAxis,
} from './schedule.js';
import { TileSearch } from './tile-search.js';

export interface Limits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Bytes of device memory to use at most. */
  readonly memory: number;
  /** Multiply-accumulates at a time, where the host can do nothing else meanwhile: a wish, some networks run whole only. */
  readonly macs?: number;
}

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
  const { macs, ...others } = limits;
  return (
    cheapest(found) ??
    (macs === undefined ? failSize(facts, size, limits, tile) : planTiles(facts, image, others, tile))
  );
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
  const maxTensor = maxTensorOf(facts, limits);
  const build = (choices: readonly Choice[]): Schedule | undefined => {
    const schedule = buildSchedule(facts, size, choices, maxTensor);
    return fits(facts, schedule, limits) ? schedule : undefined;
  };
  const isWhole = tile === undefined || tile >= Math.max(size.width, size.height);
  const whole = isWhole ? build([{ end: facts.plan.steps.length, tile: size }]) : undefined;
  if (whole || facts.scales.includes(undefined)) return whole;
  const search = new TileSearch(facts, size, { ...limits, maxTensor }, tile);
  for (const slack of SLACKS) {
    const choices = search.cheapest(slack);
    if (!choices) return undefined;
    const schedule = build(choices);
    if (schedule) return schedule;
  }
  return undefined;
}

/** Bytes of the largest tensor that the device can hold and bind. */
function maxTensorOf({ plan }: Facts, { maxStorageBufferBindingSize, maxBufferSize }: Limits): number {
  return mostBytes(plan, Math.min(maxStorageBufferBindingSize, maxBufferSize));
}

function fits(facts: Facts, { segments, memory }: Schedule, limits: Limits): boolean {
  const { plan } = facts;
  const isLaunchable = ({ start, end, largest }: Segment): boolean =>
    plan.steps
      .slice(start, end)
      .flatMap(({ workgroups }) => axisGroups(workgroups, sizesOf(largest)))
      .every((groups) => groups <= limits.maxComputeWorkgroupsPerDimension);
  const { macs = Infinity } = limits;
  return (
    memory.largestBinding <= maxTensorOf(facts, limits) &&
    memory.planned + memory.constants <= limits.memory &&
    segments.every((segment) => isLaunchable(segment) && macsOf(plan, segment, segment.largest) <= macs)
  );
}

function failSize(facts: Facts, size: Size, limits: Limits, tile: number | undefined): never {
  const { memory } = buildSchedule(facts, size, [{ end: facts.plan.steps.length, tile: size }], Infinity);
  const enough = [2, 4, 8, 16, 32, 64]
    .map((factor) => factor * limits.memory)
    .find((bytes) => findSchedule(facts, size, { ...limits, memory: bytes }, tile));
  fail(`${size.width}x${size.height} does not fit the device${tile ? ` in tiles of ${tile}` : ''}`, {
    notes: [
      `whole, it needs ${printBytes(memory.planned + memory.constants)}, and ${printBytes(memory.largestBinding)} in one tensor`,
      `there are ${printBytes(limits.memory)}, and ${printBytes(maxTensorOf(facts, limits))} for one tensor`,
      ...(enough ? [`with ${printBytes(enough)} it would fit`] : []),
    ],
    help: tile ? 'use a smaller --tile, or leave it out' : 'use --precision f16, or a smaller image',
  });
}
