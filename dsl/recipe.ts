// The `train { … }` of a file as data, with every key, call and value checked.

import { type Diagnostic, fail, type Span } from '../diagnostics.js';
import type { Expr, Stage as StageSyntax, TrainItem } from './ast.js';
import { degradations } from './degradations.js';
import type { Network } from './networks.js';
import { count, multipleOf, whole } from './params.js';
import type { Problems } from './problems.js';
import {
  type Adam,
  AUGMENTATIONS,
  AVERAGES,
  CLIPS,
  type Degradation,
  OPTIMIZERS,
  SCHEDULES,
  type Schedule,
} from './recipe-calls.js';
import { Settings } from './settings.js';
import { didYouMean } from './suggest.js';
import type { Env } from './values.js';

export interface Recipe<Minimize> {
  readonly degrade: Degradation;
  /** Size of the originals' patches in pixels, where stages do not say otherwise. */
  readonly patch?: number;
  readonly augment: readonly ('flip' | 'rot90')[];
  readonly seed: number;
  readonly stages: readonly Stage<Minimize>[];
}

/** `Minimize` is an expression when just read, and a `Loss` when the program is complete. */
export interface Stage<Minimize> {
  readonly name: string;
  /** The stage whose result this one starts from. */
  readonly from?: string;
  readonly minimize: Minimize;
  readonly steps: number;
  readonly patch: number;
  readonly batch: number;
  /** Batches whose gradients are added up for one step. */
  readonly accumulate: number;
  readonly optimizer: Adam;
  readonly schedule: Schedule;
  readonly ema?: number;
  readonly clip?: number;
  /** Paths of the generator whose parameters stay as they are: `body` freezes `body.3.conv.weight`. */
  readonly freeze: readonly string[];
}

/** What both the recipe and a stage may say. */
interface Common {
  readonly patch?: number;
  readonly batch?: number;
  readonly accumulate?: number;
}

interface Reading {
  readonly recipe: TrainItem;
  readonly env: Env;
  readonly problems: Problems;
  /** Where it could be lowered. */
  readonly generator: Network | undefined;
  /** In place of every patch it says. */
  readonly patch: number | undefined;
}

/** Reads a recipe; stages with mistakes are left out, and the mistakes are in `problems`. */
export function readRecipe(reading: Reading): Recipe<Expr> | undefined {
  const { recipe, env, problems, generator } = reading;
  const scale = generator?.scale;
  const settings = new Settings(recipe.settings, env, problems);
  const degrade = settings.choice('degrade', degradations(scale));
  const common = readCommon(settings, reading);
  const augment = settings.values('augment', AUGMENTATIONS) ?? [];
  const seed = settings.value('seed', whole()) ?? 0;
  settings.finish();

  const missing = (problem: Diagnostic) => problems.add({ ...problem, span: keyword(recipe.span) });
  if (!settings.has('degrade')) {
    missing({
      message: 'the recipe does not say how originals become inputs',
      help: `write \`degrade: bicubic(${scale ?? 4})\``,
    });
  }
  if (recipe.stages.length === 0)
    missing({ message: 'the recipe has no stage', help: 'write `stage name { … }`' });

  const names: string[] = [];
  const stages = recipe.stages.flatMap((stage) => {
    const name = stage.name.text;
    if (names.includes(name))
      problems.add({ message: `stage \`${name}\` is defined twice`, span: stage.name.span });
    const read = readStage(reading, stage, { settings, common, earlier: [...names] });
    names.push(name);
    return read ?? [];
  });
  return (
    degrade && { degrade, ...(common.patch !== undefined && { patch: common.patch }), augment, seed, stages }
  );
}

function readCommon(settings: Settings, { generator, patch: given }: Reading): Common {
  const scale = generator?.scale;
  const written = settings.value('patch', scale ? multipleOf(scale, "the generator's scale") : count());
  const patch = given ?? written;
  const batch = settings.value('batch', count());
  const accumulate = settings.value('accumulate', count());
  return {
    ...(patch !== undefined && { patch }),
    ...(batch !== undefined && { batch }),
    ...(accumulate !== undefined && { accumulate }),
  };
}

interface Before {
  readonly settings: Settings;
  readonly common: Common;
  readonly earlier: readonly string[];
}

/** What a stage cannot do without, and how it is written. */
const REQUIRED = ['minimize: l1', 'steps: 100k', 'patch: 128', 'batch: 16', 'adam(lr=2e-4)'];

function readStage(
  reading: Reading,
  { name, settings: lines }: StageSyntax,
  before: Before,
): Stage<Expr> | undefined {
  const { env, problems, generator } = reading;
  const settings = new Settings(lines, env, problems);
  const origin = settings.expr('from');
  const from = origin && problems.attempt(() => earlierStage(origin, before.earlier));
  const minimize = settings.expr('minimize');
  const steps = settings.value('steps', count());
  const { patch, batch, accumulate = 1 } = { ...before.common, ...readCommon(settings, reading) };
  const optimizer = settings.call(OPTIMIZERS);
  const schedule = settings.call(SCHEDULES) ?? { kind: 'constant' };
  const ema = settings.call(AVERAGES);
  const clip = settings.call(CLIPS);
  const freeze = readFreeze(settings, generator);
  settings.finish();

  for (const example of REQUIRED) {
    const key = /\w+/.exec(example)![0];
    if (settings.has(key) || before.settings.has(key)) continue;
    problems.add({
      message: `stage \`${name.text}\` has no \`${key}\``,
      span: name.span,
      help: `write \`${example}\``,
    });
  }
  if (!minimize || !steps || !patch || !batch || !optimizer) return undefined;
  return {
    name: name.text,
    ...(from !== undefined && { from }),
    minimize,
    steps,
    patch,
    batch,
    accumulate,
    optimizer,
    schedule,
    ...(ema !== undefined && { ema }),
    ...(clip !== undefined && { clip }),
    freeze,
  };
}

function earlierStage(expr: Expr, earlier: readonly string[]): string {
  const name = expr.kind === 'ref' ? expr.name : fail('`from` names a stage', { span: expr.span });
  if (earlier.includes(name)) return name;
  const near = didYouMean(name, earlier);
  return fail(`no stage before this one is called \`${name}\``, {
    span: expr.span,
    help: near
      ? `did you mean \`${near}\`?`
      : 'stages run in order, each from scratch or from an earlier one',
  });
}

/** `freeze: body, "up.0"`: paths of parameters, or of what they are in. */
function readFreeze(settings: Settings, generator: Network | undefined): readonly string[] {
  if (!generator) return settings.exprs('freeze', pathOf) ?? [];
  const names = generator.graph.params.flatMap(({ ref, trainable }) => (trainable ? [ref.slice(1)] : []));
  const frozen: string[] = [];
  const paths = settings.exprs('freeze', (expr) => {
    const path = pathOf(expr);
    const inside = names.filter((name) => name === path || name.startsWith(`${path}.`));
    if (inside.length === 0) unknownPath(path, names, expr.span);
    frozen.push(...inside);
    if (names.every((name) => frozen.includes(name)))
      fail('nothing is left to train', { span: expr.span, label: 'this freezes the rest' });
    return path;
  });
  return paths ?? [];
}

function pathOf(expr: Expr): string {
  if (expr.kind === 'string') return expr.value;
  if (expr.kind === 'ref') return expr.name;
  if (expr.kind === 'member') return `${pathOf(expr.object)}.${expr.member.text}`;
  return fail('`freeze` names paths of the generator', {
    span: expr.span,
    help: 'write `freeze: body, "up.0"`',
  });
}

function unknownPath(path: string, names: readonly string[], span: Span): never {
  const parents = names.flatMap((name) => {
    const segments = name.split('.');
    return segments.map((_, i) => segments.slice(0, i + 1).join('.'));
  });
  const near = didYouMean(path, new Set(parents));
  return fail(`the generator has no parameters at \`${path}\``, {
    span,
    help: near
      ? `did you mean \`${near}\`?`
      : `its paths begin with ${[...new Set(names.map((name) => name.split('.')[0]))].join(', ')}`,
  });
}

/** Just the `train` of `train { … }`. */
export function keyword(span: Span): Span {
  return { ...span, end: span.start + 'train'.length };
}
