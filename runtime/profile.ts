// A profile: where the time of a recorded run went, by layer and by kernel, and how near each came to what the device
// can do (the roofline: Williams, Waterman and Patterson, CACM 2009).

import type { Plan } from './plan.js';
import { type Layer, type LayerOptions, layersOf } from './profile-layers.js';
import { type Task, type Work, workOf } from './profile-task.js';

/** What a clock has noted; times in milliseconds on the clock of `performance.now`. */
export interface Recording {
  readonly plan: Plan;
  /** In the order in which they were sent. */
  readonly device: readonly DeviceSpan[];
  readonly host: readonly HostSpan[];
}

export interface DeviceSpan {
  readonly task: Task;
  readonly from: number;
  readonly to: number;
}

export type HostWork = 'encode' | 'upload' | 'read back' | 'wait';

export interface HostSpan {
  readonly work: HostWork;
  readonly from: number;
  readonly to: number;
  /** What was moved, if anything. */
  readonly bytes: number;
}

/** What the device can do at most. */
export interface Ceilings {
  /** Floating-point operations in f32, in 10^9 per second. */
  readonly gflops: number;
  /** Bytes read and written, in 10^9 per second. */
  readonly gbytes: number;
}

/** A line of a table. Calls, times and bytes are those of one run: the mean where several were recorded. */
export interface Line {
  readonly calls: number;
  readonly ms: number;
  /** Of the device's time. */
  readonly share: number;
  /** Two for each multiply-accumulate of the plan. */
  readonly gflops: number;
  readonly gbytes: number;
  /** The time that the device would need at its ceilings over the time it took; 0 where nothing is computed. */
  readonly roofline: number;
}

export interface Profile {
  readonly ceilings: Ceilings;
  readonly total: Line;
  /** The parts of a training step; empty elsewhere. */
  readonly groups: readonly (Line & { readonly group: string })[];
  /** These and the kernels by time, the longest first. */
  readonly layers: readonly (Line & Layer)[];
  readonly kernels: readonly (Line & { readonly kernel: string })[];
  readonly host: readonly HostLine[];
}

export interface HostLine {
  readonly work: HostWork;
  readonly calls: number;
  readonly ms: number;
  readonly bytes: number;
}

export interface ProfileOptions extends LayerOptions {
  readonly ceilings: Ceilings;
  /** How many images, or training steps, were recorded. */
  readonly runs: number;
}

/** A span with what it was for. */
export interface Deed extends DeviceSpan {
  readonly layer: Layer;
  readonly kernel: string;
  readonly work: Work;
  /** Done by the driver: no kernel moves these bytes. */
  readonly isCopy: boolean;
}

/** What was recorded, with its layers; a mirror is made for the step that follows it. */
export function deedsOf({ plan, device }: Recording, options: LayerOptions = {}): Deed[] {
  const layerOf = layersOf(plan, options);
  const works = new Map<Task, Work>();
  let next: Layer | undefined;
  const deeds = device.toReversed().map((span): Deed => {
    const { task } = span;
    const work = works.get(task) ?? workOf(plan, task);
    works.set(task, work);
    if ('step' in task) {
      next = layerOf(task);
      return { ...span, layer: next, work, kernel: plan.kernels[task.step.kernel]!.name, isCopy: false };
    }
    const { kernel, copies } = task;
    const layer = copies === 'mirror' && next ? next : layerOf(task);
    return { ...span, layer, work, kernel, isCopy: copies !== undefined };
  });
  return deeds.reverse();
}

export function profileOf(recording: Recording, options: ProfileOptions): Profile {
  const { ceilings, runs, groupOf } = options;
  const deeds = deedsOf(recording, options);
  const total = timeOf(deeds);
  const table = <Key, Head>(keyOf: (deed: Deed) => Key, head: (key: Key) => Head): (Head & Line)[] =>
    [...grouped(deeds, keyOf)]
      .map(([key, some]) => ({ ...head(key), ...lineOf(some, ceilings, runs, total) }))
      .sort((a, b) => b.ms - a.ms);
  const groups = table(
    ({ layer }) => layer.group ?? '',
    (group) => ({ group }),
  );
  return {
    ceilings,
    total: lineOf(deeds, ceilings, runs, total),
    groups: groupOf ? groups : [],
    layers: table(
      ({ layer }) => layer,
      (layer) => layer,
    ),
    kernels: table(
      ({ kernel }) => kernel,
      (kernel) => ({ kernel }),
    ),
    host: [...grouped(recording.host, ({ work }) => work)].map(([work, spans]) => ({
      work,
      calls: spans.length / runs,
      ms: timeOf(spans) / runs,
      bytes: spans.reduce((sum, { bytes }) => sum + bytes, 0) / runs,
    })),
  };
}

/** The time of copies counts for the layer that wants them; that they move bytes is no merit of it. */
function lineOf(deeds: readonly Deed[], ceilings: Ceilings, runs: number, total: number): Line {
  const dispatches = deeds.filter(({ isCopy }) => !isCopy);
  const counted = dispatches.length > 0 ? dispatches : deeds;
  const sum = (value: (deed: Deed) => number) => counted.reduce((all, deed) => all + value(deed), 0);
  const ms = timeOf(deeds);
  const perSecond = (amount: number) => (ms > 0 ? amount / ms / 1e6 : 0);
  const ideal = ({ work: { macs, bytes }, isCopy }: Deed) =>
    isCopy ? 0 : Math.max((2 * macs) / ceilings.gflops, bytes / ceilings.gbytes) / 1e6;
  return {
    calls: counted.length / runs,
    ms: ms / runs,
    share: total > 0 ? ms / total : 0,
    gflops: perSecond(sum(({ work }) => 2 * work.macs)),
    gbytes: perSecond(sum(({ work }) => work.bytes)),
    roofline: ms > 0 ? sum(ideal) / ms : 0,
  };
}

function timeOf(spans: readonly { readonly from: number; readonly to: number }[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
