// The graph as text, after every pass the same form; `parse(print(g))` equals `g`:
//
//   graph toy(%x: f32[n,3,h,w], @conv.weight: f32[64,3,3,3] = torch(27)) {
//     %0 = conv2d(%x, @conv.weight) {pad=1, stride=1} : f32[n,64,h,w]  ; toy.sr:3:3
//     return %0
//   }
//
// A training step also says `update @bn.running_mean = %7` before it returns. Attributes are JSON values sorted by name; `frozen` marks a parameter that is not trained.

import { fail, type Loc, printLoc } from '../diagnostics.js';
import { parseDim } from '../runtime/dims.js';
import type { Attrs, Graph, Init, Node, Param, TensorType } from './graph.js';
import { printType } from './ops/types.js';

export function printGraph(graph: Graph): string {
  const inputs = graph.inputs.map(({ ref, type }) => `${ref}: ${printType(type)}`);
  const signature = [...inputs, ...graph.params.map(printParam)];
  const body = graph.nodes.map((node) => `  ${printNode(node)}\n`).join('');
  const updates = graph.updates.map(({ param, value }) => `  update ${param} = ${value}\n`).join('');
  return `graph ${graph.name}(${signature.join(', ')}) {\n${body}${updates}  return ${graph.outputs.join(', ')}\n}\n`;
}

export function printNode({ ref, op, inputs, attrs, type, loc }: Node): string {
  const list = Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1));
  const braces = list.length ? ` {${list.map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ')}}` : '';
  return `${ref} = ${op}(${inputs.join(', ')})${braces} : ${printType(type)}${loc ? `  ; ${printLoc(loc)}` : ''}`;
}

function printParam({ ref, type, init, trainable }: Param): string {
  return `${ref}: ${printType(type)} = ${printInit(init)}${trainable ? '' : ' frozen'}`;
}

function printInit(init: Init): string {
  if (init.kind === 'constant') return `constant(${init.value})`;
  if (init.kind === 'torch') return `torch(${init.fanIn})`;
  if (init.kind === 'unit') return 'unit()';
  return `kaiming(${init.fanIn}, ${init.scale})`;
}

const TYPE = String.raw`f32\[([^\]]*)\]`;
const HEADER = /^graph (\S+?)\((.*)\) \{$/;
const INPUT = new RegExp(String.raw`^(%[\w.]+): ${TYPE}$`);
const PARAM = new RegExp(String.raw`^(@[\w.]+): ${TYPE} = (\w+)\(([^)]*)\)( frozen)?$`);
const UPDATE = /^update (@[\w.]+) = (\S+)$/;
const NODE = new RegExp(
  String.raw`^(%\w+) = (\w+)\(([^)]*)\)(?: \{(.*)\})? : ${TYPE}(?:  ; (.+):(\d+):(\d+))?$`,
);

/** Reads what `printGraph` wrote. Throws UserError naming the line. */
export function parseGraph(text: string, file = 'graph'): Graph {
  const lines = text.trimEnd().split('\n');
  let number = 0;
  const bad = (line: string): never => fail(`${file}:${number}: not a line of a graph: ${line.trim()}`);
  const read = (pattern: RegExp, line: string): string[] => {
    const match = pattern.exec(line.trim());
    return match ? match.map((group) => group ?? '') : bad(line);
  };

  number = 1;
  const [, name, signature] = read(HEADER, lines[0] ?? '') as [string, string, string];
  const parts = splitList(signature);
  const inputs = parts
    .filter((part) => part.startsWith('%'))
    .map((part) => {
      const [, ref, shape] = read(INPUT, part) as [string, string, string];
      return { ref, type: parseType(shape, bad) };
    });
  const params = parts
    .filter((part) => !part.startsWith('%'))
    .map((part): Param => {
      const [, ref, shape, kind, args, frozen] = read(PARAM, part) as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      return { ref, type: parseType(shape, bad), init: parseInit(kind, args, bad), trainable: !frozen };
    });
  const body = lines.slice(1, -2);
  const first = body.findIndex((line) => line.startsWith('  update '));
  const end = first < 0 ? body.length : first;
  const nodes = body.slice(0, end).map((line): Node => {
    number++;
    const [, ref, op, operands, attrs, shape, locFile, row, column] = read(NODE, line);
    const loc: Loc | undefined = locFile
      ? { file: locFile, line: Number(row), column: Number(column) }
      : undefined;
    return {
      ref: ref!,
      op: op!,
      inputs: splitList(operands!),
      attrs: parseAttrs(attrs!, bad),
      type: parseType(shape!, bad),
      ...(loc && { loc }),
    };
  });
  const updates = body.slice(end).map((line) => {
    number++;
    const [, param, value] = read(UPDATE, line) as [string, string, string];
    return { param, value };
  });
  number = lines.length - 1;
  const [, outputs] = read(/^return (.*)$/, lines[lines.length - 2] ?? '') as [string, string];
  number++;
  if (lines.at(-1) !== '}') bad(lines.at(-1) ?? '');
  return { name, inputs, params, nodes, outputs: splitList(outputs), updates };
}

type Bad = (line: string) => never;

function parseType(shape: string, bad: Bad): TensorType {
  return { shape: splitList(shape).map((dim) => parseDim(dim) ?? bad(`f32[${shape}]`)) };
}

function parseInit(kind: string, args: string, bad: Bad): Init {
  const [first = Number.NaN, second = Number.NaN] = splitList(args).map(Number);
  if (kind === 'constant') return { kind, value: first };
  if (kind === 'torch') return { kind, fanIn: first };
  if (kind === 'unit') return { kind };
  if (kind === 'kaiming') return { kind, fanIn: first, scale: second };
  return bad(`${kind}(${args})`);
}

function parseAttrs(text: string, bad: Bad): Attrs {
  return Object.fromEntries(
    splitList(text).map((part) => {
      const equals = part.indexOf('=');
      if (equals < 0) return bad(part);
      return [part.slice(0, equals), JSON.parse(part.slice(equals + 1))];
    }),
  );
}

/** Splits at commas that stand outside brackets and strings. */
function splitList(text: string): string[] {
  const parts: string[] = [];
  let [depth, quoted, start] = [0, false, 0];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"' && text[i - 1] !== '\\') quoted = !quoted;
    if (quoted) continue;
    if ('([{'.includes(c)) depth++;
    if (')]}'.includes(c)) depth--;
    if (c === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  return last ? [...parts, last] : parts;
}
