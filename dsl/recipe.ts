// The `train { … }` of a file as data: every key, call and value checked. Each key is taken by the reader that knows
// it; whatever nobody took is unknown.

import { fail, type Span } from '../diagnostics.js';
import type { Expr, Name, Setting, Stage as StageSyntax, TrainItem } from './ast.js';
import { type Callable, count, multipleOf, type Param, readArg, whole } from './params.js';
import type { Problems } from './problems.js';
import {
  type Adam,
  AUGMENTATIONS,
  AVERAGES,
  CLIPS,
  type Degradation,
  degradations,
  OPTIMIZERS,
  SCHEDULES,
  type Schedule,
} from './recipe_calls.js';
import { didYouMean } from './suggest.js';
import type { Env } from './values.js';

export interface Recipe<Minimize> {
  readonly degrade: Degradation;
  /** Size of the originals' patches, in pixels. */
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
}

/** What a stage may override. */
interface Defaults {
  readonly patch?: number;
  readonly batch?: number;
  readonly accumulate?: number;
}

type Calls<R> = ReadonlyMap<string, Callable<R>>;

/** Hands out the settings of one pair of braces by key. */
class Settings {
  readonly #settings: readonly Setting[];
  readonly #env: Env;
  readonly #problems: Problems;
  readonly #known = new Set<string>();

  constructor(settings: readonly Setting[], env: Env, problems: Problems) {
    this.#settings = settings;
    this.#env = env;
    this.#problems = problems;
  }

  /** `key: value` */
  value<T>(key: string, param: Param<T>): T | undefined {
    return this.#one(key, (setting) => readArg(`\`${key}\``, param, only(setting), this.#env));
  }

  /** `key: value, value` */
  values<T>(key: string, param: Param<T>): readonly T[] | undefined {
    return this.#one(key, ({ values }) =>
      values.map((value) => readArg(`\`${key}\``, param, value, this.#env)),
    );
  }

  /** `key: expression`, for someone else to evaluate. */
  expr(key: string): Expr | undefined {
    return this.#one(key, only);
  }

  /** `key: name(…)`, one of `calls` */
  choice<R>(key: string, calls: Calls<R>): R | undefined {
    return this.#one(key, (setting) => {
      const expr = only(setting);
      const callee = expr.kind === 'call' ? expr.callee : expr;
      const row = callee.kind === 'ref' ? calls.get(callee.name) : undefined;
      if (row) return row.call(expr.kind === 'call' ? expr.args : [], this.#env, expr.span);
      const near = callee.kind === 'ref' && didYouMean(callee.name, calls.keys());
      return fail(`unknown value of \`${key}\``, {
        span: callee.span,
        help: near ? `did you mean \`${near}\`?` : `it is one of ${[...calls.keys()].join(', ')}`,
      });
    });
  }

  /** `name(…)` on its own, at most one of `calls` */
  call<R>(calls: Calls<R>): R | undefined {
    const found = this.#take([...calls.keys()]);
    return (
      found &&
      this.#problems.attempt(() => {
        const { key, values, bare } = found;
        const [value] = values;
        if (bare && value?.kind === 'call')
          return calls.get(key.text)!.call(value.args, this.#env, found.span);
        return fail(`\`${key.text}\` is a call`, { span: found.span, help: `write \`${key.text}(…)\`` });
      })
    );
  }

  /** Reports what nobody asked for. */
  finish(): void {
    for (const { key } of this.#settings) {
      if (this.#known.has(key.text)) continue;
      const near = didYouMean(key.text, this.#known);
      this.#problems.add({
        message: `unknown setting \`${key.text}\``,
        span: key.span,
        help: near ? `did you mean \`${near}\`?` : `known here: ${[...this.#known].join(', ')}`,
      });
    }
  }

  #one<T>(key: string, read: (setting: Setting) => T): T | undefined {
    const setting = this.#take([key]);
    return (
      setting &&
      this.#problems.attempt(() =>
        setting.bare
          ? fail(`\`${key}\` is not a call`, { span: setting.span, help: `write \`${key}: …\`` })
          : read(setting),
      )
    );
  }

  /** The setting under one of `keys`; a second one is a mistake. */
  #take(keys: readonly string[]): Setting | undefined {
    for (const key of keys) this.#known.add(key);
    const [first, second] = this.#settings.filter(({ key }) => keys.includes(key.text));
    if (first && second) {
      const same = first.key.text === second.key.text;
      const message = same
        ? `\`${first.key.text}\` is given twice`
        : `\`${second.key.text}\` besides \`${first.key.text}\``;
      this.#problems.add({ message, span: second.span, help: 'keep one of them' });
    }
    return first;
  }
}

function only({ key, values, span }: Setting): Expr {
  const [value, more] = values;
  return value && !more ? value : fail(`\`${key.text}\` takes one value`, { span });
}

/** Reads a recipe; undefined when something in it is wrong, which is then in `problems`. */
export function readRecipe(
  item: TrainItem,
  env: Env,
  problems: Problems,
  scale: number | undefined,
): Recipe<Expr> | undefined {
  const settings = new Settings(item.settings, env, problems);
  const degrade = settings.choice('degrade', degradations(scale));
  const common = readCommon(settings, scale);
  const augment = settings.values('augment', AUGMENTATIONS) ?? [];
  const seed = settings.value('seed', whole()) ?? 0;
  settings.finish();
  if (!item.settings.some(({ key }) => key.text === 'degrade')) {
    problems.add({
      message: 'the recipe does not say how originals become inputs',
      span: opening(item.span),
      help: 'write `degrade: bicubic(4)`',
    });
  }
  if (item.stages.length === 0)
    problems.add({ message: 'the recipe has no stage', span: opening(item.span) });

  const earlier: string[] = [];
  const stages = item.stages.flatMap((stage) => {
    if (earlier.includes(stage.name.text)) {
      problems.add({ message: `stage \`${stage.name.text}\` is defined twice`, span: stage.name.span });
    }
    const read = readStage(stage, common, earlier, item, env, problems, scale);
    earlier.push(stage.name.text);
    return read ?? [];
  });
  return (
    degrade && { degrade, ...(common.patch !== undefined && { patch: common.patch }), augment, seed, stages }
  );
}

function readCommon(settings: Settings, scale: number | undefined): Defaults {
  const patch = settings.value('patch', scale ? multipleOf(scale, "the generator's scale") : count());
  const batch = settings.value('batch', count());
  const accumulate = settings.value('accumulate', count());
  return {
    ...(patch !== undefined && { patch }),
    ...(batch !== undefined && { batch }),
    ...(accumulate !== undefined && { accumulate }),
  };
}

function readStage(
  { name, settings: list }: StageSyntax,
  defaults: Defaults,
  earlier: readonly string[],
  recipe: TrainItem,
  env: Env,
  problems: Problems,
  scale: number | undefined,
): Stage<Expr> | undefined {
  const settings = new Settings(list, env, problems);
  const origin = settings.expr('from');
  const from = origin && problems.attempt(() => earlierStage(origin, earlier, recipe));
  const minimize = settings.expr('minimize');
  const steps = settings.value('steps', count());
  const { patch, batch, accumulate = 1 } = { ...defaults, ...readCommon(settings, scale) };
  const optimizer = settings.call(OPTIMIZERS);
  const schedule = settings.call(SCHEDULES) ?? { kind: 'constant' };
  const ema = settings.call(AVERAGES);
  const clip = settings.call(CLIPS);
  settings.finish();

  const given = [...list, ...recipe.settings].map(({ key }) => key.text);
  const missing = (key: string, example: string) => {
    if (given.includes(key)) return;
    problems.add({
      message: `stage \`${name.text}\` has no \`${key}\``,
      span: name.span,
      help: `write \`${example}\``,
    });
  };
  missing('minimize', 'minimize: l1');
  missing('steps', 'steps: 100k');
  missing('patch', 'patch: 128');
  missing('batch', 'batch: 16');
  missing('adam', 'adam(lr=2e-4)');
  if (!minimize || steps === undefined || patch === undefined || batch === undefined || !optimizer)
    return undefined;
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
  };
}

function earlierStage(expr: Expr, earlier: readonly string[], { stages }: TrainItem): string {
  const name = expr.kind === 'ref' ? expr.name : fail('`from` names a stage', { span: expr.span });
  if (earlier.includes(name)) return name;
  if (stages.some((stage: { name: Name }) => stage.name.text === name)) {
    return fail(`stage \`${name}\` comes later`, { span: expr.span, help: 'stages run in order' });
  }
  const near = didYouMean(name, earlier);
  return fail(`there is no stage \`${name}\` before this one`, {
    span: expr.span,
    ...(near && { help: `did you mean \`${near}\`?` }),
  });
}

/** Just the `train` of `train { … }`. */
function opening(span: Span): Span {
  return { ...span, end: span.start + 'train'.length };
}
