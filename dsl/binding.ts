// Which argument goes to which parameter: the same for builtins, blocks, networks and losses.

import { type Diagnostic, type Span, UserError } from '../diagnostics.js';
import type { Arg, Expr, ParamDef } from './ast.js';
import { didYouMean } from './suggest.js';

/** What binding must know of a parameter. */
export interface Declared {
  readonly name: string;
  readonly required: boolean;
  /** The last one may take all remaining positional arguments, as one tuple. */
  readonly rest?: true;
}

/** Parameters of a block, a network or a loss. */
export function declaredBy(params: readonly ParamDef[]): Declared[] {
  return params.map((param) => ({ name: param.name.text, required: param.default === undefined }));
}

/** The argument of each parameter. Throws every mistake: too many, unknown, twice, missing. */
export function bind(
  callee: string,
  params: readonly Declared[],
  args: readonly Arg[],
  at: Span,
): ReadonlyMap<string, Expr> {
  const bound = new Map<string, Expr>();
  const mistakes: Diagnostic[] = [];
  let position = 0;
  let named = false;
  for (const { name, value, span } of args) {
    named ||= name !== undefined;
    const target = name ? params.find((param) => param.name === name.text) : params[position];
    if (!name && named) {
      mistakes.push({
        message: 'a positional argument cannot follow a named one',
        span,
        help: usage(callee, params),
      });
    } else if (!target) {
      mistakes.push(
        name
          ? unknown(callee, name, params)
          : { message: `too many arguments for \`${callee}\``, span, help: usage(callee, params) },
      );
    } else if (target.rest) {
      const before = bound.get(target.name);
      const items = before?.kind === 'tuple' ? before.items : [];
      bound.set(target.name, { kind: 'tuple', items: [...items, value], span });
      continue;
    } else if (bound.has(target.name)) {
      mistakes.push({ message: `\`${target.name}\` is given twice`, span });
    } else {
      bound.set(target.name, value);
    }
    position++;
  }
  const missing = params.find((param) => param.required && !bound.has(param.name));
  if (missing && mistakes.length === 0) {
    const help = usage(callee, params);
    mistakes.push({ message: `\`${callee}\` needs \`${missing.name}\``, span: at, help });
  }
  if (mistakes.length > 0) throw new UserError(mistakes);
  return bound;
}

function unknown(
  callee: string,
  { text, span }: { readonly text: string; readonly span: Span },
  params: readonly Declared[],
): Diagnostic {
  const near = didYouMean(
    text,
    params.map((param) => param.name),
  );
  return {
    message: `\`${callee}\` has no parameter \`${text}\``,
    span,
    help: near ? `did you mean \`${near}\`?` : usage(callee, params),
  };
}

/** "`conv` takes features, kernel?, stride?" */
function usage(callee: string, params: readonly Declared[]): string {
  const list = params.map(({ name, required, rest }) => `${name}${rest ? ', …' : required ? '' : '?'}`);
  return `\`${callee}\` takes ${list.length > 0 ? list.join(', ') : 'no arguments'}`;
}
