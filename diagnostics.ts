// The one gate for user errors: what is wrong, where, with the actual values, and one thing to do.
// Every phase throws `UserError`; `render` draws it (with a caret when there is source text), `toJson` is for
// machines. Our own bugs go through `internal()`, keep their stack and start with "internal:".

/** A named text: a `.sr` file, or a piece of the standard library. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** Half-open range `[start, end)` of UTF-16 offsets into `source.text`. */
export interface Span {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

/** 1-based position for people and for JSON; survives without the text (graph nodes carry one). */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic {
  /** One line, lower case, no full stop: "residual adds tensors of different widths". */
  readonly message: string;
  readonly span?: Span;
  /** Printed after the carets: "this gives (128, h, w)". */
  readonly label?: string;
  /** Facts with the actual values, one line each. */
  readonly notes?: readonly string[];
  /** The one thing to do. */
  readonly help?: string;
}

/** At most this many errors of one phase are shown. */
const MAX_DIAGNOSTICS = 20;

/** An error of the user's making. The CLI prints it without a stack and exits with code 2. */
export class UserError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: Diagnostic | readonly Diagnostic[]) {
    const list = 'message' in diagnostics ? [diagnostics] : diagnostics;
    super(list.map((d) => d.message).join('\n'));
    this.name = 'UserError';
    this.diagnostics = list;
  }
}

/** Reports a user error: `fail("weights.pth: not a PyTorch file", { help: "…" })`. */
export function fail(message: string, details: Omit<Diagnostic, 'message'> = {}): never {
  throw new UserError({ message, ...details });
}

/** Reports a bug of ours. */
export function internal(message: string): never {
  throw new Error(`internal: ${message}`);
}

export function locate({ source: { name, text }, start }: Span): Loc {
  let [line, lineStart] = [1, 0];
  for (let end = text.indexOf('\n'); end >= 0 && end < start; end = text.indexOf('\n', lineStart)) {
    line++;
    lineStart = end + 1;
  }
  return { file: name, line, column: start - lineStart + 1 };
}

export function printLoc(loc: Loc): string {
  return `${loc.file}:${loc.line}:${loc.column}`;
}

/** The errors as people read them; carets under the offending text where there is a span. */
export function render(error: UserError): string {
  const shown = error.diagnostics.slice(0, MAX_DIAGNOSTICS).map(renderOne);
  const hidden = error.diagnostics.length - shown.length;
  if (hidden > 0) shown.push(`… and ${hidden} more error${hidden > 1 ? 's' : ''}`);
  return `${shown.join('\n\n')}\n`;
}

/** The same for machines: positions are 1-based. */
export function toJson(error: UserError): object {
  return {
    errors: error.diagnostics.map(({ message, span, label, notes, help }) => ({
      message,
      ...(span && locate(span)),
      ...(span && { length: span.end - span.start }),
      ...(label && { label }),
      ...(notes?.length && { notes }),
      ...(help && { help }),
    })),
  };
}

/** What is shown of a longer line, as generated files have it. */
const LINE_WIDTH = 160;

/** The line, or the part of it around `column`; `at` is where `column` is in that. */
function excerpt(line: string, column: number): { readonly text: string; readonly at: number } {
  if (line.length <= LINE_WIDTH) return { text: line, at: column };
  const start = Math.max(0, Math.min(column - LINE_WIDTH / 2, line.length - LINE_WIDTH));
  const end = start + LINE_WIDTH;
  const before = start > 0 ? '…' : '';
  const text = before + line.slice(start, end) + (end < line.length ? '…' : '');
  return { text, at: before.length + column - start };
}

function renderOne({ message, span, label, notes = [], help }: Diagnostic): string {
  const lines = [`error: ${message}`];
  let margin = '  ';
  if (span) {
    const loc = locate(span);
    const line = span.source.text.split('\n')[loc.line - 1] ?? '';
    const number = String(loc.line);
    margin = ' '.repeat(number.length);
    const { text, at } = excerpt(line, loc.column - 1);
    const width = Math.max(1, Math.min(span.end - span.start, text.length - at));
    const indent = text.slice(0, at).replace(/[^\t]/g, ' ');
    lines.push(
      `${margin} --> ${printLoc(loc)}`,
      `${margin} |`,
      `${number} | ${text}`,
      `${margin} | ${indent}${'^'.repeat(width)}${label ? ` ${label}` : ''}`,
    );
    margin += ' ';
  }
  for (const note of notes) lines.push(`${margin}= ${note}`);
  if (help) lines.push(`${margin}= help: ${help}`);
  return lines.join('\n');
}
