// A small pretty printer after Wadler ("A prettier printer", 2003): a group stays on one line if it fits, else every
// line break that is directly in it is taken.

export type Doc = string | readonly Doc[] | Line | Indent | Group | Remark;

interface Line {
  readonly kind: 'line';
  /** What is printed in place of the break when the group is on one line; without it the break is always taken. */
  readonly flat?: string;
}

interface Indent {
  readonly kind: 'indent';
  readonly content: Doc;
}

interface Group {
  readonly kind: 'group';
  readonly content: Doc;
  readonly broken: boolean;
  readonly yields: boolean;
}

/** A comment behind the code of its line, at `column` if the code leaves room for it. */
interface Remark {
  readonly kind: 'remark';
  readonly text: string;
  readonly column: number;
}

const INDENT = 2;

export const hardline: Line = { kind: 'line' };

/** A break that reads `flat` while its group is on one line. */
export function line(flat: string): Line {
  return { kind: 'line', flat };
}

export function indent(content: Doc): Indent {
  return { kind: 'indent', content };
}

export function group(content: Doc): Group {
  return { kind: 'group', content, broken: mustBreak(content), yields: false };
}

/** A group that, where a line is too long, breaks before a group to the left of it does. */
export function yieldingGroup(content: Doc): Group {
  return { ...group(content), yields: true };
}

export function remark(text: string, column: number): Remark {
  return { kind: 'remark', text, column };
}

export function join(docs: readonly Doc[], separator: Doc): Doc[] {
  return docs.flatMap((doc, i) => (i === 0 ? [doc] : [separator, doc]));
}

interface Part {
  readonly doc: Doc;
  readonly depth: number;
  readonly flat: boolean;
}

export function print(doc: Doc, width: number): string {
  const out: string[] = [];
  let column = 0;
  let remark: Remark | undefined;
  const write = (text: string) => {
    out.push(text);
    column += text.length;
  };
  const endLine = () => {
    if (remark) write(' '.repeat(Math.max(1, remark.column - column)) + remark.text);
    remark = undefined;
  };
  const rest: Part[] = [{ doc, depth: 0, flat: false }];
  for (let part = rest.pop(); part; part = rest.pop()) {
    const { doc, depth, flat } = part;
    if (typeof doc === 'string') {
      write(doc);
    } else if (!('kind' in doc)) {
      for (const child of doc.toReversed()) rest.push({ doc: child, depth, flat });
    } else if (doc.kind === 'indent') {
      rest.push({ doc: doc.content, depth: depth + INDENT, flat });
    } else if (doc.kind === 'group') {
      const whole = { doc: doc.content, depth, flat: true };
      const onOneLine = flat || (!doc.broken && fits(whole, rest, width - column));
      rest.push(onOneLine ? whole : { ...whole, flat: false });
    } else if (doc.kind === 'remark') {
      remark = doc;
    } else if (flat && doc.flat !== undefined) {
      write(doc.flat);
    } else {
      endLine();
      out.push(`\n${' '.repeat(depth)}`);
      column = depth;
    }
  }
  endLine();
  return out.join('').replace(/ +$/gm, '');
}

/** Whether `first`, and what follows it up to the next line break, fit into `width` columns. */
function fits(first: Part, rest: readonly Part[], width: number): boolean {
  const own = [first];
  let following = rest.length;
  let left = width;
  while (left >= 0) {
    const part = own.pop() ?? rest[--following];
    if (!part) return true;
    const { doc, depth, flat } = part;
    if (typeof doc === 'string') left -= doc.length;
    else if (!('kind' in doc)) for (const child of doc.toReversed()) own.push({ doc: child, depth, flat });
    else if (doc.kind === 'indent') own.push({ doc: doc.content, depth, flat });
    else if (doc.kind === 'group')
      own.push({ doc: doc.content, depth, flat: flat || !(doc.broken || doc.yields) });
    else if (doc.kind === 'line') {
      if (!flat || doc.flat === undefined) return true;
      left -= doc.flat.length;
    }
  }
  return false;
}

function mustBreak(doc: Doc): boolean {
  if (typeof doc === 'string') return false;
  if (!('kind' in doc)) return doc.some(mustBreak);
  if (doc.kind === 'indent') return mustBreak(doc.content);
  if (doc.kind === 'group') return doc.broken;
  return doc.kind === 'remark' || doc.flat === undefined;
}
