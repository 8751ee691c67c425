// To which layer of the network a task belongs, as people know it: the path of its parameters, the place in the `.sr`
// text. Statements that are repeated are one layer, its paths one pattern: `body.*.rdb.*.conv.4`.

import { printLoc } from '../diagnostics.js';
import { printDim } from './dims.js';
import type { ConstantExpr, Plan, Step, StepPlan } from './plan.js';
import type { OwnTask, StepTask, Task } from './profile-task.js';

export interface Layer {
  /** `body.*.rdb.*.conv.4`, or the kernel's name where a statement has no parameters. */
  readonly name: string;
  /** `graphs/esrgan.sr:7:3` */
  readonly at?: string;
  /** A part of a training step: `forward`, `optimizer`. */
  readonly group?: string;
  /** What it makes: `(64, 2*h, 2*w)`. */
  readonly shape?: string;
}

export interface LayerOptions {
  /** The part of a training step that a step of the plan belongs to. */
  readonly groupOf?: (step: Step) => string;
}

/** A layer for each task; the same object for tasks of one layer. */
export function layersOf(plan: Plan, { groupOf }: LayerOptions = {}): (task: Task) => Layer {
  // The gradients of a layer have many shapes; what it makes forwards has one, or one for each size it is used at.
  const placeOf = (step: Step): Place => ({
    ...(step.loc && { at: printLoc(step.loc) }),
    ...(!groupOf && { shape: shapeOf(plan, step) }),
  });
  const names = namesOf(plan, placeOf);
  const layers = new Map<string, Layer>();
  const shared = (layer: Layer): Layer => {
    const key = JSON.stringify([layer.group, layer.at ?? layer.name, layer.shape]);
    const known = layers.get(key) ?? layer;
    layers.set(key, known);
    return known;
  };
  const ofStep = ({ step }: StepTask): Layer => {
    const place = placeOf(step);
    const name = names.get(keyOf(place)) ?? plan.kernels[step.kernel]!.name;
    return shared({ name, ...place, ...(groupOf && { group: groupOf(step) }) });
  };
  const own = ({ name, group }: OwnTask): Layer => shared({ name, group });
  const known = new Map<Task, Layer>();
  return (task) => {
    const layer = known.get(task) ?? ('step' in task ? ofStep(task) : own(task));
    known.set(task, layer);
    return layer;
  };
}

type Place = Pick<Layer, 'at' | 'shape'>;

function keyOf({ at, shape }: Place): string {
  return `${at} ${shape}`;
}

function shapeOf({ buffers }: Plan, { writes }: Step): string {
  const [, ...size] = buffers[writes.buffer]!.dims;
  return `(${[writes.channels, ...size].map(printDim).join(', ')})`;
}

/** By place: the pattern of the paths that the steps from there take their parameters from. */
function namesOf(plan: Plan, placeOf: (step: Step) => Place): Map<string, string> {
  const paths = new Map<string, Set<string>>();
  for (const step of plan.steps) {
    const param = firstParameter(plan, step);
    if (!step.loc || param === undefined) continue;
    const key = keyOf(placeOf(step));
    const known = paths.get(key) ?? new Set();
    paths.set(key, known.add(param.replace(/\.\w+$/, '')));
  }
  return new Map([...paths].map(([key, set]) => [key, patternOf([...set])]));
}

/** A layer's own come first; those of what is fused into it follow. */
function firstParameter(plan: Plan, { bindings }: Step): string | undefined {
  for (const binding of bindings) {
    const name =
      'constant' in binding
        ? parameterIn(plan.constants[binding.constant]!.value)
        : residentName(plan, binding.buffer);
    if (name !== undefined) return name;
  }
  return undefined;
}

function parameterIn(value: ConstantExpr): string | undefined {
  if ('param' in value) return value.param;
  if ('values' in value) return undefined;
  return value.args.map(parameterIn).find((name) => name !== undefined);
}

function residentName(plan: Plan & Partial<StepPlan>, buffer: number): string | undefined {
  const { resident } = plan.buffers[buffer]!;
  return resident && plan.residents?.[resident.resident]?.name;
}

/** Segments that differ become `*`; paths of different lengths are patterns of their own. */
function patternOf(paths: readonly string[]): string {
  const patterns = new Map<number, string[]>();
  for (const path of paths) {
    const segments = path.split('.');
    const known = patterns.get(segments.length) ?? segments;
    patterns.set(
      segments.length,
      segments.map((segment, i) => (segment === known[i] ? segment : '*')),
    );
  }
  return [...patterns.values()].map((segments) => segments.join('.')).join(', ');
}
