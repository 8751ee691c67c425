// A graph as Graphviz text: one box per node, parameters left out.

import type { Graph } from './graph.js';
import { epilogueOf, printStep } from './ops/epilogue.js';
import { printType } from './ops/types.js';

export function printDot(graph: Graph): string {
  const box = (ref: string, label: string, style: string) => `  "${ref}" [label="${label}"${style}];`;
  const lines = graph.inputs.map(({ ref, type }) =>
    box(ref, `${ref}\\n${printType(type)}`, ', shape=ellipse'),
  );
  for (const { ref, op, inputs, attrs, type } of graph.nodes) {
    const steps = epilogueOf(attrs).map(printStep).join(' ');
    lines.push(box(ref, `${op}${steps && ` | ${steps}`}\\n${printType(type)}`, ''));
    for (const input of inputs) if (!input.startsWith('@')) lines.push(`  "${input}" -> "${ref}";`);
  }
  for (const ref of graph.outputs) lines.push(`  "${ref}" -> "return";`);
  return `digraph "${graph.name}" {\n  node [shape=box, fontname="monospace"];\n${lines.join('\n')}\n}\n`;
}
