// One image through a program: tiles of the image go to the device, the commands run, finished regions come back.

import { internal } from '../diagnostics.js';
import { type Facts, pixels } from './halo.js';
import { deinterleave, interleave, type PlanarImage, type Region } from './image.js';
import type { Command, Pacer } from './pacer.js';
import type { Port } from './plan.js';
import type { Program, Tile } from './program.js';
import type { Readback } from './readback.js';
import { coreOf, intersect, regionOf } from './regions.js';
import type { Part, Segment } from './schedule.js';

/** Pieces in which pixels travel between the host and the device: bounds the host's copies of them. */
const PIECE_BYTES = 2 ** 24;

export interface Machinery {
  readonly device: GPUDevice;
  readonly facts: Facts;
  readonly pacer: Pacer;
  readonly program: Program;
  readonly readback: Readback;
}

/** Sends all there is to do. `result`, which the caller has made for the output, is filled when it has `ended`. */
export async function sendProgram(
  machinery: Machinery,
  image: PlanarImage,
  result: PlanarImage,
): Promise<{ ended: Promise<unknown> }> {
  const { program, pacer, readback } = machinery;
  try {
    for (const part of program.schedule.parts) {
      for (const [i, segment] of program.schedule.segments.entries()) {
        for (const tile of program.tiles[i]!) {
          if (segment.inputs.length > 0) await pacer.submit(); // uploads overtake what is not yet submitted
          for (const port of segment.inputs) upload(machinery, { segment, part, tile, port }, image);
          for (const item of tile.work) if (pacer.add(item)) await pacer.submit();
          for (const port of segment.outputs)
            await download(machinery, { segment, part, tile, port }, result);
        }
      }
    }
    await pacer.submit();
    const ended = Promise.all([pacer.sent(), readback.drain()]);
    ended.catch(() => {}); // whoever awaits it sees the error
    return { ended };
  } catch (error) {
    await pacer.cancel();
    await readback.cancel();
    throw error;
  }
}

/**
 * Each kernel once, as a single workgroup: drivers finish compiling a kernel when it first runs, and a profile is not to
 * say so. What they write is written again by the run.
 */
export async function warmUp({ tiles }: Program, pacer: Pacer): Promise<void> {
  const kernels = new Map<GPUComputePipeline, Command>();
  for (const item of tiles.flat().flatMap(({ work }) => work))
    if ('pipeline' in item) kernels.set(item.pipeline, item);
  for (const command of kernels.values()) pacer.dispatch({ ...command, workgroups: [1, 1, 1], cost: 0 });
  await pacer.drain();
}

/** A port's tensor for one tile of one part of the image. */
interface Place {
  readonly segment: Segment;
  readonly part: Part;
  readonly tile: Tile;
  readonly port: Port;
}

function upload(
  { device, facts, program, pacer }: Machinery,
  { segment, part, tile, port }: Place,
  image: PlanarImage,
): void {
  const { buffer, stride, scale } = tensorOf(facts, program, segment, port);
  const region = regionOf(part, tile, scale, 'from', 'to');
  const rowBytes = 4 * stride * (region.right - region.left);
  for (const { top, bottom } of pieces(region, rowBytes)) {
    pacer.host('upload', (bottom - top) * rowBytes, () => {
      const values = interleave(image, port.channels, { ...region, top, bottom }, stride);
      device.queue.writeBuffer(buffer, (top - region.top) * rowBytes, values);
    });
  }
}

async function download(
  { facts, program, readback, pacer }: Machinery,
  { segment, part, tile, port }: Place,
  result: PlanarImage,
): Promise<void> {
  const { buffer, stride, scale } = tensorOf(facts, program, segment, port);
  const computed = regionOf(part, tile, scale, 'from', 'to');
  const valid = intersect(regionOf(part, tile, scale, 'start', 'end'), coreOf(part, scale));
  const columns = computed.right - computed.left;
  const rowBytes = 4 * stride * columns;
  for (const { top, bottom } of pieces(valid, rowBytes)) {
    const layout = { columns, stride, skip: valid.left - computed.left };
    const bytes = (bottom - top) * rowBytes;
    await readback.read(buffer, (top - computed.top) * rowBytes, bytes, (values) =>
      pacer.host('read back', bytes, () => deinterleave(values, layout, result, { ...valid, top, bottom })),
    );
  }
}

/** Bytes of the largest piece that a program reads back. */
export function largestPiece(facts: Facts, program: Program): number {
  const sizes = program.schedule.segments.flatMap((segment) =>
    segment.outputs.map((port) => {
      const { stride, scale } = tensorOf(facts, program, segment, port);
      const rowBytes = 4 * stride * pixels(segment.largest.width, scale);
      return Math.min(pixels(segment.largest.height, scale), rowsOfPiece(rowBytes)) * rowBytes;
    }),
  );
  return Math.max(...sizes);
}

function tensorOf({ plan, scales }: Facts, program: Program, segment: Segment, { name, buffer }: Port) {
  const scale = scales[buffer] ?? internal(`port ${name} is no image`);
  return { buffer: program.slots[segment.slots.get(buffer)!]!, stride: plan.buffers[buffer]!.stride, scale };
}

function pieces({ top, bottom }: Region, rowBytes: number): { top: number; bottom: number }[] {
  const rows = rowsOfPiece(rowBytes);
  const list = [];
  for (let y = top; y < bottom; y += rows) list.push({ top: y, bottom: Math.min(bottom, y + rows) });
  return list;
}

function rowsOfPiece(rowBytes: number): number {
  return Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
}
