// Memory, halos, schedules and tiles: pure planning, with known answers and properties.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { factsOf, receptiveRadius, walkRange } from '../../runtime/halo.js';
import { type Life, place } from '../../runtime/memory.js';
import type { Plan } from '../../runtime/plan.js';
import { buildSchedule, type Schedule, splitAxis, sum } from '../../runtime/schedule.js';
import { type Limits, planTiles } from '../../runtime/tiles.js';
import { chainPlan, esrganPlan, of, planOf, tailPlan, tensor, toyPlan } from './plans.js';

const MIB = 2 ** 20;
const LIMITS: Limits = {
  maxStorageBufferBindingSize: 128 * MIB,
  maxBufferSize: 4096 * MIB,
  maxComputeWorkgroupsPerDimension: 65535,
  memory: 4096 * MIB,
};

function tiles(
  plan: Plan,
  width: number,
  height: number,
  limits: Partial<Limits> = {},
  tile?: number,
): Schedule {
  return planTiles(factsOf(plan), { width, height }, { ...LIMITS, ...limits }, tile);
}

describe('placement', () => {
  test('lives that share a moment share no buffer; others do', () => {
    const lives = [
      { bytes: 100, first: 0, last: 1 },
      { bytes: 300, first: 1, last: 2 },
      { bytes: 200, first: 2, last: 3 },
    ];
    expect(place(lives)).toEqual({ slots: [1, 0, 1], sizes: [300, 200] });
  });

  test('properties', () => {
    const life = fc
      .record({ bytes: fc.integer({ min: 1, max: 1000 }), first: fc.nat(30), length: fc.nat(10) })
      .map(({ bytes, first, length }): Life => ({ bytes, first, last: first + length }));
    fc.assert(
      fc.property(fc.array(life, { maxLength: 40 }), (lives) => {
        const { slots, sizes } = place(lives);
        for (const [i, a] of lives.entries()) {
          expect(sizes[slots[i]!]).toBeGreaterThanOrEqual(a.bytes);
          for (const [j, b] of lives.entries()) {
            if (i !== j && slots[i] === slots[j]) expect(a.last < b.first || b.last < a.first).toBe(true);
          }
        }
        expect(sum(sizes)).toBeLessThanOrEqual(sum(lives.map(({ bytes }) => bytes)));
      }),
    );
  });
});

describe('halos', () => {
  test('receptive radii', () => {
    expect(receptiveRadius(chainPlan(7))).toBe(7);
    // 4 convs; the last two, at x2, reach 1 and then ceil(1/2) + 1 = 2 pixels further.
    expect(receptiveRadius(toyPlan())).toBe(4 + 2);
    // The 347 convs of the trunk, and the four of the tail reach 1.25 pixels, so 2 whole ones.
    expect(receptiveRadius(esrganPlan(23))).toBe(349);
  });

  test('a range loads only the channels it does not write itself', () => {
    const facts = factsOf(toyPlan());
    const dense = walkRange(facts, 2, 4); // reads slab channels 0..12 and 0..16, writes 12..16 of them
    expect(dense.loads()).toEqual([of(1, 12)]);
    expect(dense.stores()).toEqual([of(2, 8)]);
    expect(dense.halo).toBe(2);
  });

  test('what only passes by is neither loaded nor stored', () => {
    const buffers = ['x', 'skip', 'a', 'b', 'y'].map((name) =>
      tensor(name, name === 'x' || name === 'y' ? 4 : 8),
    );
    const plan = planOf(buffers, [
      { x: of(0, 3), y: of(1, 8) },
      { x: of(1, 8), y: of(2, 8) },
      { x: of(2, 8), y: of(3, 8) },
      { x: of(3, 8), y: of(4, 3), adds: [of(1, 8)] },
    ]);
    const walk = walkRange(factsOf(plan), 2, 3);
    expect([walk.loads(), walk.stores()]).toEqual([[of(2, 8)], [of(3, 8)]]);
  });

  test('a longer range needs no less', () => {
    const facts = factsOf(esrganPlan(2));
    const length = facts.plan.steps.length;
    for (let end = 1; end <= length; end++) {
      let halo = 0;
      for (let start = end - 1; start >= 0; start--) {
        const next = walkRange(facts, start, end).halo;
        expect(next).toBeGreaterThanOrEqual(halo);
        halo = next;
      }
    }
  });

  test('a plan that reads what nobody wrote is a bug of ours', () => {
    const plan = planOf([tensor('x', 4), tensor('ghost', 4), tensor('y', 4)], [{ x: of(1, 3), y: of(2, 3) }]);
    expect(() => factsOf(plan)).toThrow('internal: plan "toy" reads ghost before it is written');
  });
});

describe('tiles', () => {
  test('extents cover an axis once, with halos inside it', () => {
    const size = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(size, size, fc.nat(50), (length, tile, halo) => {
        const extents = splitAxis(length, tile, halo);
        expect(extents.map(({ start }) => start)).toEqual([0, ...extents.slice(0, -1).map(({ end }) => end)]);
        expect(extents.at(-1)!.end).toBe(length);
        for (const { start, end, from, to } of extents) {
          expect(from).toBe(Math.max(0, start - halo));
          expect(to).toBe(Math.min(length, end + halo));
        }
      }),
    );
  });

  test('what fits runs whole, and a chain needs two buffers', () => {
    const schedule = tiles(chainPlan(20), 100, 80);
    expect(schedule.segments.map(({ start, end }) => [start, end])).toEqual([[0, 20]]);
    expect(schedule.slotBytes).toEqual([100 * 80 * 32, 100 * 80 * 32]);
    expect(schedule.macs).toBe(schedule.plainMacs);
  });

  test('ESRGAN at 128x128 needs two slabs and the two skips beside them', () => {
    const { memory, slotBytes } = tiles(esrganPlan(23), 128, 128);
    const slab = 128 * 128 * 192 * 4;
    expect(memory.naive / memory.planned).toBeGreaterThan(6);
    expect(slotBytes.filter((bytes) => bytes === slab).length).toBeLessThanOrEqual(4);
    expect(memory.constants).toBeGreaterThan(16_697_987 * 4 - 351 * 64 * 4 - MIB);
  });

  /** Everything a schedule must satisfy, whatever was chosen. */
  function check(plan: Plan, schedule: Schedule, limits: Limits): void {
    const { segments, parts, size, image, slotBytes, memory, stashes } = schedule;
    expect(memory.planned + memory.constants).toBeLessThanOrEqual(limits.memory);
    for (const bytes of slotBytes) expect(bytes).toBeLessThanOrEqual(limits.maxStorageBufferBindingSize);
    expect(segments.map(({ start }) => start)).toEqual([0, ...segments.slice(0, -1).map(({ end }) => end)]);
    expect(segments.at(-1)!.end).toBe(plan.steps.length);
    const facts = factsOf(plan);
    for (const segment of segments) {
      const { start, end, rows, columns, halo, largest, slots } = segment;
      expect(halo).toBe(walkRange(facts, start, end).halo);
      for (const [extents, length] of [
        [rows, size.height],
        [columns, size.width],
      ] as const) {
        expect(sum(extents.map((extent) => extent.end - extent.start))).toBe(length);
        for (const extent of extents) {
          expect(extent.from).toBe(Math.max(0, extent.start - halo));
          expect(extent.to).toBe(Math.min(length, extent.end + halo));
        }
      }
      for (const step of plan.steps.slice(start, end)) {
        const used = [step.writes, ...step.reads].map(({ buffer }) => buffer);
        for (const buffer of used) {
          const {
            stride,
            dims: [, h],
          } = plan.buffers[buffer]!;
          const scale = typeof h === 'number' ? 1 : h.mul;
          const bytes = largest.width * largest.height * scale ** 2 * stride * 4;
          expect(slotBytes[slots.get(buffer)!]).toBeGreaterThanOrEqual(bytes);
        }
        for (const { buffer } of step.reads) {
          if (buffer !== step.writes.buffer)
            expect(slots.get(buffer)).not.toBe(slots.get(step.writes.buffer));
        }
      }
      const carried = [...segment.loads, ...segment.stores].flatMap(({ stash }) => stashes[stash]!.bands);
      const local = new Set(slots.values());
      for (const { slot } of carried) expect(local.has(slot)).toBe(false);
    }
    for (const { bands } of stashes) {
      expect(bands.map(({ from }) => from)).toEqual([0, ...bands.slice(0, -1).map(({ to }) => to)]);
    }
    const radius = walkRange(facts, 0, plan.steps.length).halo;
    const covered = sum(
      parts.map(({ rows, columns }) => (rows.end - rows.start) * (columns.end - columns.start)),
    );
    expect(covered).toBe(image.width * image.height);
    for (const { rows, columns } of parts) {
      for (const [extent, length, span] of [
        [rows, image.height, size.height],
        [columns, image.width, size.width],
      ] as const) {
        expect(extent.to - extent.from).toBe(span);
        expect(extent.from).toBeLessThanOrEqual(Math.max(0, extent.start - radius));
        expect(extent.to).toBeGreaterThanOrEqual(Math.min(length, extent.end + radius));
      }
    }
  }

  test.each<[string, Plan, number, number, Partial<Limits>, number?]>([
    ['ESRGAN, one tensor too large', esrganPlan(23), 400, 300, {}],
    ['ESRGAN, large', esrganPlan(23), 1000, 700, {}],
    ['ESRGAN, stashes too large', esrganPlan(23), 2000, 1500, { memory: 2048 * MIB }],
    ['ESRGAN, tiles of 64', esrganPlan(23), 300, 200, {}, 64],
    ['a chain, large', chainPlan(351), 4000, 3000, {}],
    ['toy, tiny limits', toyPlan(), 61, 47, { maxStorageBufferBindingSize: 20_000 }],
    ['a tail, stashes too large', tailPlan(), 120, 40, { memory: 220_000 }],
  ])('%s: the schedule is sound, and found in half a second', (_, plan, width, height, limits, tile) => {
    const facts = factsOf(plan);
    const before = performance.now();
    const schedule = planTiles(facts, { width, height }, { ...LIMITS, ...limits }, tile);
    expect(performance.now() - before).toBeLessThan(1500); // measured: below 500 on an idle machine
    check(plan, schedule, { ...LIMITS, ...limits });
  });

  test('any limits: sound or refused', () => {
    const bytes = fc.integer({ min: 3000, max: 400_000 });
    const side = fc.integer({ min: 1, max: 90 });
    const plan = toyPlan();
    fc.assert(
      fc.property(bytes, bytes, side, side, fc.option(side), (binding, memory, width, height, tile) => {
        const limits = { ...LIMITS, maxStorageBufferBindingSize: binding, memory };
        try {
          check(plan, tiles(plan, width, height, limits, tile ?? undefined), limits);
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          expect(error.message).toContain(`${width}x${height} does not fit the device`);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('recomputation is small where there is room for tiles', () => {
    const { macs, plainMacs } = tiles(esrganPlan(23), 1000, 700);
    expect(macs / plainMacs).toBeLessThan(1.06);
  });

  test('dispatches stay within the limit of workgroups', () => {
    const { segments } = tiles(toyPlan(), 4000, 10, { maxComputeWorkgroupsPerDimension: 300 });
    // The widest step has ceil(2 * width * 8 / 64) groups.
    for (const { largest } of segments) expect(Math.ceil(largest.width / 4)).toBeLessThanOrEqual(300);
  });

  test('without limits, the memory of the whole image', () => {
    const none = { maxStorageBufferBindingSize: Infinity, maxBufferSize: Infinity, memory: Infinity };
    expect(tiles(esrganPlan(23), 4000, 3000, none).segments.length).toBe(1);
  });

  test('a schedule of one segment is what buildSchedule gives for the whole plan', () => {
    const facts = factsOf(toyPlan());
    const size = { width: 20, height: 10 };
    expect(tiles(toyPlan(), 20, 10)).toEqual(buildSchedule(facts, size, [{ end: 6, tile: size }], Infinity));
  });
});

test('tensors are no larger than the textures that they are read through', () => {
  const plan = chainPlan(2);
  const kernels = plan.kernels.map((kernel) => {
    return { ...kernel, bindings: kernel.bindings.with(0, 'rgba16float') };
  });
  const mirrored = { ...plan, kernels };
  const huge = { maxStorageBufferBindingSize: Infinity, maxBufferSize: Infinity, memory: Infinity };
  const largest = (one: Plan) => tiles(one, 16384, 8192, huge).memory.largestBinding;
  expect(largest(plan)).toBeGreaterThan(512 * MIB);
  expect(largest(mirrored)).toBeLessThanOrEqual(512 * MIB);
});
