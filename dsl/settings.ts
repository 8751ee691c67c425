// The settings between a recipe's braces. Each key is taken by the reader that knows it; whatever nobody took is
// unknown, and reported with the nearest known key.

import { fail } from '../diagnostics.js';
import type { Expr, Setting } from './ast.js';
import { type Callable, type Param, readArg } from './params.js';
import type { Problems } from './problems.js';
import { didYouMean } from './suggest.js';
import type { Env } from './values.js';

type Calls<R> = ReadonlyMap<string, Callable<R>>;

/** Hands out the settings of one pair of braces by key. */
export class Settings {
  readonly #settings: readonly Setting[];
  readonly #env: Env;
  readonly #problems: Problems;
  readonly #known = new Set<string>();

  constructor(settings: readonly Setting[], env: Env, problems: Problems) {
    this.#settings = settings;
    this.#env = env;
    this.#problems = problems;
  }

  has(key: string): boolean {
    return this.#settings.some((setting) => setting.key.text === key);
  }

  /** `key: value` */
  value<T>(key: string, param: Param<T>): T | undefined {
    return this.#one(key, (setting) => readArg(`\`${key}\``, param, only(setting), this.#env));
  }

  /** `key: value, value` */
  values<T>(key: string, param: Param<T>): readonly T[] | undefined {
    return this.exprs(key, (value) => readArg(`\`${key}\``, param, value, this.#env));
  }

  /** `key: expression`, for someone else to evaluate. */
  expr(key: string): Expr | undefined {
    return this.#one(key, only);
  }

  /** `key: expression, expression`, each read by `read` */
  exprs<T>(key: string, read: (expr: Expr) => T): readonly T[] | undefined {
    return this.#one(key, ({ values }) => values.map(read));
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
        : `\`${second.key.text}\` cannot stand beside \`${first.key.text}\``;
      this.#problems.add({ message, span: second.span, help: 'keep one of them' });
    }
    return first;
  }
}

function only({ key, values, span }: Setting): Expr {
  const [value, more] = values;
  return value && !more ? value : fail(`\`${key.text}\` takes one value`, { span });
}
