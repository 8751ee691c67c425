// A schedule on the device: physical buffers, bind groups, uniforms and the flat list of dispatches of every tile.
// Built once for an image size and run for every image of that size.

import type { Constants } from './constant-buffers.js';
import type { Sizes } from './dims.js';
import { bindGroup, COST_PER_ELEMENT, stepCost, stepName, Uniforms } from './dispatch.js';
import { allocate, checked, Usage } from './gpu.js';
import type { Facts } from './halo.js';
import { bufferBytes, bytesPerElement } from './memory.js';
import { createTextures, mirrorCopies } from './mirrors.js';
import type { Command, Work } from './pacer.js';
import type { Pipeline, Pipelines } from './pipelines.js';
import {
  axisGroups,
  type Extent,
  type Part,
  type Schedule,
  type Segment,
  type Size,
  sizesOf,
  sum,
} from './schedule.js';
import { type Move, movesOf, windowOf } from './windows.js';

export interface Program {
  readonly schedule: Schedule;
  /** The physical buffers. */
  readonly slots: readonly GPUBuffer[];
  /** The tiles of each segment, in the order of their execution. */
  readonly tiles: readonly (readonly Tile[])[];
  /** The sum over all commands. */
  readonly cost: number;
  destroy(): void;
}

export interface Tile extends Part {
  readonly work: readonly Work[];
}

/** What a program is built from. */
export interface Parts {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly facts: Facts;
  readonly constants: Constants;
}

export async function buildProgram(parts: Parts, schedule: Schedule): Promise<Program> {
  const { device, pipelines, facts } = parts;
  const kernels = await Promise.all(facts.plan.kernels.map((kernel) => pipelines.get(kernel)));
  const segments = await Promise.all(
    schedule.segments.map(async (segment) => ({
      ...segment,
      before: await movesOf(facts, schedule, segment.loads, 'load', pipelines),
      after: await movesOf(facts, schedule, segment.stores, 'store', pipelines),
    })),
  );
  const uniforms = new Uniforms(sum(segments.map(countBlocks)));
  const { width, height } = schedule.size;
  const [uniformBuffer, ...slots] = await allocate(device, `an image of ${width}x${height}`, [
    { label: 'uniforms', size: uniforms.bytes, usage: Usage.uniform | Usage.copyDst },
    ...schedule.slotBytes.map((size, i) => ({ label: `slot ${i}`, size, usage: SLOT_USAGE })),
  ]);
  const buffers = { uniforms: uniformBuffer!, slots };
  const free = () => {
    for (const buffer of [...slots, uniformBuffer!]) buffer.destroy();
  };
  const textures = await createTextures(
    device,
    `an image of ${width}x${height}`,
    schedule.mirrors.textures,
  ).catch((error) => {
    free();
    throw error;
  });
  const mirrors = textures.map((texture) => ({ texture, view: texture.createView() }));
  const context = { ...parts, kernels, schedule, uniforms, buffers, mirrors };
  const tiles = await checked(device, 'binding the network', () =>
    segments.map((segment) => tilesOf(context, segment)),
  );
  device.queue.writeBuffer(buffers.uniforms, 0, uniforms.words);
  return {
    schedule,
    slots: buffers.slots,
    tiles,
    cost: sum(tiles.flat().map(({ work }) => sum(work.map((item) => ('cost' in item ? item.cost : 0))))),
    destroy: () => {
      free();
      for (const texture of textures) texture.destroy();
    },
  };
}

const SLOT_USAGE = Usage.storage | Usage.copySrc | Usage.copyDst;

type Moving = Segment & { readonly before: readonly Move[]; readonly after: readonly Move[] };

interface Context extends Parts {
  readonly kernels: readonly Pipeline[];
  readonly schedule: Schedule;
  readonly uniforms: Uniforms;
  readonly buffers: { readonly slots: readonly GPUBuffer[]; readonly uniforms: GPUBuffer };
  readonly mirrors: readonly { readonly texture: GPUTexture; readonly view: GPUTextureView }[];
}

/** The commands of every tile; bind groups serve all tiles, and tiles of one shape share the commands of its steps. */
function tilesOf(context: Context, segment: Moving): Tile[] {
  const { facts, uniforms, schedule } = context;
  const { plan } = facts;
  const slotOf = (buffer: number): GPUBuffer => context.buffers.slots[segment.slots.get(buffer)!]!;
  const bind = (label: string, layout: GPUBindGroupLayout, storage: readonly GPUBindingResource[]) =>
    bindGroup(context.device, label, layout, context.buffers.uniforms, storage);
  const wholeOf = (buffer: number, sizes: Sizes) => ({
    buffer: slotOf(buffer),
    offset: 0,
    size: bufferBytes(plan.buffers[buffer]!, sizes),
  });
  const largest = sizesOf(segment.largest);
  const steps = plan.steps.slice(segment.start, segment.end).map((step, i) => {
    const { gpu, layout } = context.kernels[step.kernel]!;
    const mirrored = schedule.mirrors.steps.get(segment.start + i) ?? [];
    const storage = step.bindings.map((bound, binding): GPUBindingResource => {
      const access = plan.kernels[step.kernel]!.bindings[binding]!;
      if ('constant' in bound) return context.constants.resource(bound.constant, access);
      const mirror = mirrored.find((one) => one.binding === binding);
      return mirror ? context.mirrors[mirror.texture]!.view : wholeOf(bound.buffer, largest);
    });
    return { step, mirrored, pipeline: gpu, group: bind(stepName(step), layout, storage) };
  });
  const runSteps = (shape: Size): Work[] => {
    const sizes = sizesOf(shape);
    return steps.flatMap(({ step, mirrored, pipeline, group }): Work[] => [
      ...mirrored.flatMap(({ binding, texture, isFirst }) => {
        const bound = step.bindings[binding]!;
        if (!isFirst || !('buffer' in bound)) return [];
        return mirrorCopies(context.mirrors[texture]!.texture, wholeOf(bound.buffer, sizes));
      }),
      {
        pipeline,
        group,
        uniformOffset: uniforms.add(step.uniforms, sizes),
        workgroups: axisGroups(step.workgroups, sizes),
        cost: stepCost(step, plan.buffers, sizes),
        task: { step, sizes },
      },
    ]);
  };

  const withGroup = (move: Move) => {
    const { operand } = move.transfer;
    const tile = { buffer: slotOf(operand.buffer) };
    const band = { buffer: context.buffers.slots[move.band.slot]! };
    const storage = move.direction === 'load' ? [band, tile] : [tile, band];
    const label = `${move.direction} ${plan.buffers[operand.buffer]!.name}`;
    return { move, group: bind(label, move.pipeline.layout, storage) };
  };
  const runMove = (
    { move, group }: ReturnType<typeof withGroup>,
    rows: Extent,
    columns: Extent,
  ): Command[] => {
    const sizes = windowOf(move, facts, schedule.size.width, rows, columns);
    if (!sizes) return [];
    const { buffer, channels } = move.transfer.operand;
    const elements = sizes.rows! * sizes.cols! * channels;
    const bytes = 2 * elements * bytesPerElement(plan.buffers[buffer]!.dtype);
    return [
      {
        pipeline: move.pipeline.gpu,
        group,
        uniformOffset: uniforms.add(move.launch.uniforms, sizes),
        workgroups: axisGroups(move.launch.workgroups, sizes),
        cost: elements * COST_PER_ELEMENT,
        task: { name: `${move.direction} tiles`, kernel: `window_${channels}`, group: 'tiles', bytes },
      },
    ];
  };
  const before = segment.before.map(withGroup);
  const after = segment.after.map(withGroup);

  const shapes = new Map<string, readonly Work[]>();
  return segment.rows.flatMap((rows) =>
    segment.columns.map((columns): Tile => {
      const shape = { height: rows.to - rows.from, width: columns.to - columns.from };
      const key = `${shape.width}x${shape.height}`;
      const body = shapes.get(key) ?? runSteps(shape);
      shapes.set(key, body);
      const loads = before.flatMap((move) => runMove(move, rows, columns));
      const stores = after.flatMap((move) => runMove(move, rows, columns));
      return { rows, columns, work: [...loads, ...body, ...stores] };
    }),
  );
}

/** Uniform blocks of a segment, at most: its steps for each shape of tile, its moves for each tile. */
function countBlocks({ start, end, rows, columns, before, after }: Moving): number {
  const lengths = (extents: readonly Extent[]): number =>
    new Set(extents.map(({ from, to }) => to - from)).size;
  const shapes = lengths(rows) * lengths(columns);
  return shapes * (end - start) + rows.length * columns.length * (before.length + after.length);
}
