// Random `.sr` programs with random layout, and trees made comparable.

import fc from 'fast-check';
import type { File } from '../../dsl/ast.js';

/** A tree as text, without what formatting may change: spans, and the blanks between comments. */
export function outline(file: File): string {
  const items = JSON.stringify(file.items, (key, value) => (key === 'span' ? undefined : value));
  return [...file.comments.map((comment) => comment.text), items].join('\n');
}

// Places where the layout is free, filled by `layOut`: inside parentheses, beside an operator, between two lines,
// beside a brace.
const INSIDE = '\u{E000}';
const OPERATOR = '\u{E001}';
const BETWEEN = '\u{E002}';
const BRACE = '\u{E003}';

const FILLINGS: Readonly<Record<string, readonly string[]>> = {
  [INSIDE]: ['', '', ' ', '\n', ' // in\n', '\n  // in, alone\n', ' // in\n\n// and alone\n'],
  [OPERATOR]: ['', ' ', ' ', '\n  ', ' // operator\n', '\n// operator, alone\n'],
  [BETWEEN]: [
    '; ',
    '; ',
    ';',
    '\n',
    '\n\n\n',
    ' // behind\n',
    ';; // behind\n\n// alone\n// twice\n',
    '\n\t// alone\n\n',
  ],
  [BRACE]: ['', ' ', ' ', '\n', '\n\n\n', ' // brace\n', '\n // brace, alone\n'],
};

function layOut(template: string, choices: readonly number[]): string {
  let next = 0;
  return template.replace(/[\u{E000}-\u{E003}]/gu, (place) => {
    const fillings = FILLINGS[place]!;
    return fillings[choices[next++ % choices.length]! % fillings.length]!;
  });
}

const name = fc.constantFrom('conv', 'x', 'x2', 'sr', 'stage', 'a_b', 'features', 'Z9', 'vgg');
const anyName = fc.oneof(name, fc.constantFrom('let', 'block', 'loss', 'train'));
const callee = anyName.filter((text) => !/^x\d*$/.test(text));
const number = fc.constantFrom('0', '3', '64', '0.2', '5e-3', '200k', '1M', '1.5E+2', '2.5k', '007');

const within = (content: fc.Arbitrary<readonly string[]>, trailing = '') =>
  content.map((parts) => {
    const inner = parts.map((part) => INSIDE + part + INSIDE).join(',');
    return `(${inner}${parts.length > 0 ? trailing : ''}${trailing && INSIDE})`;
  });

const { expr } = fc.letrec<{ expr: string; arg: string }>((tie) => ({
  expr: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'expr' },
    fc.oneof(name, number, fc.constantFrom('"a//b"', '""')),
    fc.tuple(name, name).map((parts) => parts.join('.')),
    fc.tuple(name, within(fc.array(tie('arg'), { maxLength: 3 }))).map((parts) => parts.join('')),
    fc
      .tuple(name, within(fc.array(tie('arg'), { minLength: 1, maxLength: 2 }), ','))
      .map((parts) => parts.join(' ')),
    within(fc.array(tie('expr'), { minLength: 1, maxLength: 3 })),
    within(fc.array(tie('expr'), { minLength: 1, maxLength: 2 }), ','),
    tie('expr').map((value) => `-${value}`),
    fc
      .tuple(tie('expr'), fc.constantFrom('+', '-', '*', '/', '^'), tie('expr'))
      .map(([left, op, right]) => left + OPERATOR + op + OPERATOR + right),
  ),
  arg: fc.oneof(
    tie('expr'),
    fc.tuple(name, tie('expr')).map(([key, value]) => `${key}${INSIDE}=${INSIDE}${value}`),
  ),
}));

const arg = fc.oneof(
  expr,
  fc.tuple(name, expr).map(([key, value]) => `${key}=${value}`),
);
const args = within(fc.array(arg, { maxLength: 3 }));

const braces = (lines: fc.Arbitrary<readonly string[]>) =>
  lines.map((parts) => `{${BRACE}${parts.join(BETWEEN)}${BRACE}}`);

const repeat = fc.oneof(
  fc.constantFrom('x1', 'x23'),
  expr.map((count) => `x(${INSIDE}${count}${INSIDE})`),
);

const { body } = fc.letrec<{ body: string; statement: string }>((tie) => ({
  body: braces(fc.array(tie('statement'), { maxLength: 4, depthIdentifier: 'body' })),
  statement: fc
    .tuple(
      fc.option(anyName, { nil: undefined }),
      fc.oneof(
        { maxDepth: 3, depthIdentifier: 'body' },
        fc.tuple(callee, fc.oneof(args, fc.constant(''))).map((parts) => parts.join('')),
        fc.tuple(callee, args, repeat).map(([layer, given, times]) => `${layer}${given} ${times}`),
        fc.tuple(callee, args, tie('body')).map(([layer, given, inner]) => `${layer}${given} ${inner}`),
        fc.tuple(callee, repeat, tie('body')).map((parts) => parts.join(' ')),
        fc.tuple(callee, tie('body'), repeat).map((parts) => parts.join(' ')),
        fc.tuple(tie('body'), fc.oneof(repeat, fc.constant(''))).map((parts) => parts.join('')),
      ),
    )
    .map(([label, layer]) => (label === undefined ? layer : `${label} = ${layer}`)),
}));

const param = fc.oneof(
  name,
  fc.tuple(name, expr).map(([key, value]) => `${key} =${INSIDE}${value}`),
);
const head = fc.tuple(callee, fc.oneof(fc.constant(''), within(fc.array(param, { maxLength: 3 }))));
const shape = within(fc.array(expr, { minLength: 1, maxLength: 3 }));
const signature = fc.oneof(
  fc.constant(''),
  shape.map((input) => `${OPERATOR}: ${input}`),
  fc.tuple(shape, shape).map(([input, output]) => ` : ${input}${OPERATOR}->${OPERATOR}${output}`),
);
const definition = fc.tuple(name, expr).map(([key, value]) => `${key} =${OPERATOR}${value}`);
const setting = fc.oneof(
  fc
    .tuple(name, fc.array(expr, { minLength: 1, maxLength: 3 }))
    .map(([k, v]) => `${k}: ${v.join(`,${OPERATOR}`)}`),
  fc.tuple(name, args).map((parts) => parts.join('')),
);
const settings = fc.array(setting, { maxLength: 4 });
const stage = fc.tuple(name, braces(settings)).map(([title, lines]) => `stage ${title} ${lines}`);

const item = fc.oneof(
  definition.map((text) => `let ${text}`),
  definition.map((text) => `blend ${text}`),
  fc.tuple(head, body).map(([[title, params], inner]) => `block ${title}${params} ${inner}`),
  fc
    .tuple(fc.constantFrom('generator', 'discriminator'), head, signature, body)
    .map(([role, [title, params], shapes, inner]) => `${role} ${title}${params}${shapes} ${inner}`),
  fc.tuple(head, expr).map(([[title, params], value]) => `perception ${title}${params} = ${value}`),
  fc.tuple(head, expr).map(([[title, params], value]) => `loss ${title}${params} =${OPERATOR}${value}`),
  fc
    .tuple(head, braces(fc.array(definition, { maxLength: 2 })))
    .map(([[title, params], players]) => `loss ${title}${params} ${players}`),
  braces(fc.array(fc.oneof(setting, stage), { maxLength: 4 })).map((recipe) => `train ${recipe}`),
);

export const program: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(item, { maxLength: 4 }),
    fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 40 }),
    fc.boolean(),
  )
  .map(([items, choices, framed]) => {
    const text = items.join(BETWEEN);
    return layOut(framed ? BRACE + text + BRACE : text, choices);
  });
