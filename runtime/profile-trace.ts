// A recording as a Chrome trace (the "Trace Event Format"), which Perfetto and chrome://tracing show: one row for the
// device, and one for each kind of work of the host.

import { printLoc } from '../diagnostics.js';
import { evalDim } from './dims.js';
import type { Plan } from './plan.js';
import { type Deed, deedsOf, type HostWork, type Recording } from './profile.js';
import type { LayerOptions } from './profile-layers.js';
import type { StepTask } from './profile-task.js';

export interface Trace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
  readonly otherData: Readonly<Record<string, string | number>>;
}

/** `X`: something with a duration; `M`: what a row is called. Times in microseconds. */
export type TraceEvent = {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, string | number>>;
} & (
  | { readonly ph: 'M' }
  | { readonly ph: 'X'; readonly cat: string; readonly ts: number; readonly dur: number }
);

/** What viewers open without trouble; an image in many tiles makes more. */
const MOST_SPANS = 200_000;

const PROCESS = 1;
const DEVICE_ROW = 1;
const HOST_ROWS: Readonly<Record<HostWork, number>> = { encode: 2, upload: 3, 'read back': 4, wait: 5 };

export function traceOf(recording: Recording, options: LayerOptions = {}): Trace {
  const { plan, device, host } = recording;
  const start = host.reduce((first, { from }) => Math.min(first, from), device[0]?.from ?? Infinity);
  const spanOf = ({ from, to }: { readonly from: number; readonly to: number }) => ({
    ph: 'X' as const,
    pid: PROCESS,
    ts: 1000 * (from - start),
    dur: 1000 * (to - from),
  });
  const deeds = deedsOf({ ...recording, device: device.slice(0, MOST_SPANS) }, options);
  const leftOut = device.length - deeds.length;
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      title('process_name', 0, `src: ${plan.name}`),
      title('thread_name', DEVICE_ROW, 'device'),
      ...Object.entries(HOST_ROWS).map(([work, row]) => title('thread_name', row, `host: ${work}`)),
      ...deeds.map((deed) => ({
        ...spanOf(deed),
        name: deed.layer.name,
        cat: deed.layer.group ?? 'device',
        tid: DEVICE_ROW,
        args: argsOf(plan, deed),
      })),
      ...host.map((span) => ({
        ...spanOf(span),
        name: span.work,
        cat: 'host',
        tid: HOST_ROWS[span.work],
        args: { bytes: span.bytes },
      })),
    ],
    otherData: { network: plan.name, ...(leftOut > 0 && { 'dispatches left out': leftOut }) },
  };
}

function title(name: string, tid: number, text: string): TraceEvent {
  return { name, ph: 'M', pid: PROCESS, tid, args: { name: text } };
}

function argsOf(plan: Plan, { task, kernel, work, from, to }: Deed): TraceEvent['args'] {
  const { macs, bytes } = work;
  const perSecond = (amount: number) => (to > from ? Number((amount / (to - from) / 1e6).toPrecision(4)) : 0);
  return {
    kernel,
    ...('step' in task && stepArgs(plan, task)),
    ...(macs > 0 && { MFLOP: (2 * macs) / 1e6, 'GFLOP/s': perSecond(2 * macs) }),
    bytes,
    'GB/s': perSecond(bytes),
  };
}

/** Its place in the text, and the sizes `[n, h, w, channels]` of what it reads and writes. */
function stepArgs({ buffers }: Plan, { step, sizes }: StepTask): TraceEvent['args'] {
  const shape = ({ buffer, channels }: { readonly buffer: number; readonly channels: number }) =>
    [...buffers[buffer]!.dims.map((dim) => evalDim(dim, sizes)), channels].join(' x ');
  const { name, loc, reads, writes } = step;
  return {
    step: name,
    ...(loc && { at: printLoc(loc) }),
    reads: reads.map(shape).join(', '),
    writes: shape(writes),
  };
}
