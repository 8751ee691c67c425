// Names of parameters, by this rule:
//
//   a statement contributes its label, or the name it calls: `up = { … }` is `up`, `conv(64)` is `conv`;
//   an unlabelled `residual`, `dense` or bare `{ … }` contributes nothing: its statements belong to the scope around it;
//   a label that can occur more than once in its scope (several statements, or a repeat) is numbered from 0 in order of
//   execution: `conv.0`, `conv.1`; a label that occurs once is not numbered;
//   the last segment is the tensor's name in PyTorch: `weight`, `bias`, `running_mean`, `running_var`.
//
// So the fourth block's second dense group's third conv is `body.3.rdb.1.conv.2.weight`. Paths are unique by
// construction: labels hold no dots and start with no digit, one is either always numbered or never, and the counter
// never repeats. Whether a label is numbered depends on the text alone, so `--set blocks=1` renames nothing.

import type { Body, Statement } from './ast.js';

const TRANSPARENT: readonly (string | undefined)[] = ['residual', 'dense', undefined];

/** The segment a statement contributes, if any. */
export function segmentOf(statement: Statement): string | undefined {
  const callee = statement.callee?.text;
  return statement.label?.text ?? (TRANSPARENT.includes(callee) ? undefined : callee);
}

/** The names of one scope, handed out in order of execution. */
export class PathScope {
  readonly #prefix: string;
  readonly #numbered: ReadonlySet<string>;
  readonly #next = new Map<string, number>();

  /** `prefix` is empty or ends in a dot. */
  constructor(prefix: string, body: Body) {
    this.#prefix = prefix;
    const seen = new Set<string>();
    const numbered = new Set<string>();
    for (const { segment, repeated } of segments(body, false)) {
      if (repeated || seen.has(segment)) numbered.add(segment);
      seen.add(segment);
    }
    this.#numbered = numbered;
  }

  /** The path of the next statement that contributes `segment`. */
  enter(segment: string): string {
    if (!this.#numbered.has(segment)) return this.#prefix + segment;
    const index = this.#next.get(segment) ?? 0;
    this.#next.set(segment, index + 1);
    return `${this.#prefix}${segment}.${index}`;
  }
}

function* segments(body: Body, within: boolean): Generator<{ segment: string; repeated: boolean }> {
  for (const statement of body.statements) {
    const repeated = within || statement.repeat !== undefined;
    const segment = segmentOf(statement);
    if (segment !== undefined) yield { segment, repeated };
    else if (statement.body) yield* segments(statement.body, repeated);
  }
}
