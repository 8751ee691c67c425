// Moves between a tile and the stashes: which rectangle goes where, as launches of the copyWindow kernel. One move
// serves all tiles of a segment; the rectangle is in its uniforms.

import { type Sizes, sym } from './dims.js';
import { type Facts, pixels } from './halo.js';
import type { View } from './kernels/kernel.js';
import { copyWindow } from './kernels/window.js';
import type { Pipeline, Pipelines } from './pipelines.js';
import type { Step } from './plan.js';
import type { Band, Extent, Schedule, Transfer } from './schedule.js';

/** A transfer of one band, in one direction. */
export interface Move {
  readonly transfer: Transfer;
  readonly band: Band;
  readonly direction: 'load' | 'store';
  readonly pipeline: Pipeline;
  readonly launch: Pick<Step, 'uniforms' | 'workgroups'>;
}

export async function movesOf(
  { plan }: Facts,
  schedule: Schedule,
  transfers: readonly Transfer[],
  direction: Move['direction'],
  pipelines: Pipelines,
): Promise<Move[]> {
  const moves = await Promise.all(
    transfers.map(async (transfer) => {
      const { operand, stash } = transfer;
      const { stride, dtype } = plan.buffers[operand.buffer]!;
      const kept = schedule.stashes[stash]!;
      const { channels } = operand;
      const tile = { dtype, channels, stride, offset: operand.offset };
      const whole = {
        dtype,
        channels,
        stride: kept.operand.channels,
        offset: operand.offset - kept.operand.offset,
      };
      const [x, y] = direction === 'load' ? [whole, tile] : [tile, whole];
      const launch = copyWindow({ x: view(x, 0, 'x'), y: view(y, 1, 'y') });
      const pipeline = await pipelines.get(launch);
      return kept.bands.map((band): Move => ({ transfer, band, direction, pipeline, launch }));
    }),
  );
  return moves.flat();
}

/** Both tensors' sizes are symbols too, so that moves of all sizes share one kernel. */
function view(tensor: Omit<View, 'slot' | 'dims'>, slot: number, name: 'x' | 'y'): View {
  return { ...tensor, slot, dims: [1, sym(`${name}_h`), sym(`${name}_w`)] };
}

/** The symbols of a move's launch for one tile; undefined where the tile and the band do not meet. */
export function windowOf(
  { band, direction, transfer }: Move,
  facts: Facts,
  imageWidth: number,
  rows: Extent,
  columns: Extent,
): Sizes | undefined {
  const scale = facts.scales[transfer.operand.buffer]!;
  const px = (value: number): number => pixels(value, scale);
  const [first, last] = direction === 'load' ? (['from', 'to'] as const) : (['start', 'end'] as const);
  const top = Math.max(px(rows[first]), band.from);
  const bottom = Math.min(px(rows[last]), band.to);
  if (top >= bottom) return undefined;
  const left = px(columns[first]);
  const tile = {
    height: px(rows.to - rows.from),
    width: px(columns.to - columns.from),
    y: top - px(rows.from),
    x: left - px(columns.from),
  };
  const whole = { height: band.to - band.from, width: px(imageWidth), y: top - band.from, x: left };
  const [x, y] = direction === 'load' ? [whole, tile] : [tile, whole];
  return {
    x_h: x.height,
    x_w: x.width,
    y_h: y.height,
    y_w: y.width,
    src_y: x.y,
    src_x: x.x,
    dst_y: y.y,
    dst_x: y.x,
    rows: bottom - top,
    cols: px(columns[last]) - left,
  };
}
