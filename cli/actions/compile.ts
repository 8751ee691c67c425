// `src compile`: what a `.sr` file computes and costs, and every form it takes on the way to the device. Needs no GPU.

import { printDot } from '../../compiler/dot.js';
import { layersOf } from '../../compiler/layers.js';
import { GENERIC } from '../../compiler/target.js';
import { printGraph } from '../../compiler/text.js';
import { fail } from '../../diagnostics.js';
import { type Compiled, compile, planFor } from '../../dsl/compile.js';
import { parse, printShape } from '../../dsl/index.js';
import { printCount } from '../../formats/values.js';
import { printBytes } from '../../runtime/gpu.js';
import { factsOf } from '../../runtime/halo.js';
import type { Plan } from '../../runtime/plan.js';
import type { Memory, Size } from '../../runtime/schedule.js';
import { planTiles } from '../../runtime/tiles.js';
import { FORMS } from '../commands/compile.js';
import { prepareOutput, writeAtomic } from '../files.js';
import { printTable } from '../human.js';
import { type Io, write } from '../io.js';
import type { Settings } from '../options.js';
import { readGraph } from '../package.js';

export interface CompileOptions {
  readonly set: Settings;
  readonly network?: string;
  readonly size: Size;
  readonly precision: 'f32' | 'f16';
  readonly emit?: string;
  readonly output?: string;
  readonly json?: true;
}

export async function compileFile(io: Io, file: string, options: CompileOptions): Promise<void> {
  const source = await readGraph(file);
  const { set, network, precision, size } = options;
  const compiled = compile(source, { set, ...(network !== undefined && { network }) });
  const plan = planFor(compiled, { ...GENERIC, precision });
  const form = options.json ? 'json' : options.emit;
  const emitted =
    form === 'ast'
      ? `${JSON.stringify(parse(source).items, withoutSource, 2)}\n`
      : form && emit(form, compiled, plan, size);
  if (options.output !== undefined) {
    await prepareOutput(options.output);
    const text = emitted ?? `${JSON.stringify(plan)}\n`;
    await writeAtomic(options.output, new TextEncoder().encode(text));
    if (emitted !== undefined) return;
  }
  await write(io.stdout, emitted ?? report(compiled, plan, size));
}

/** Spans as offsets: the text they point into is the file itself. */
function withoutSource(key: string, value: unknown): unknown {
  return key === 'source' ? undefined : value;
}

function emit(form: string, compiled: Compiled, plan: Plan, size: Size): string {
  switch (form) {
    case 'graph':
      return printGraph(compiled.network.graph);
    case 'fused':
      return printGraph(compiled.graph);
    case 'plan':
      return `${JSON.stringify(plan, null, 2)}\n`;
    case 'dot':
      return printDot(compiled.graph);
    case 'json':
      return `${JSON.stringify(facts(compiled, plan, size), null, 2)}\n`;
    case 'wgsl':
      return plan.kernels.map(({ name, wgsl }) => `// ${name}\n${wgsl}\n`).join('\n');
  }
  const step = /^wgsl:(\d+)$/.exec(form)?.[1];
  if (step === undefined) return fail(`--emit ${form}: there is no such form`, { help: `it takes ${FORMS}` });
  const { kernel } =
    plan.steps[Number(step)] ??
    fail(`--emit ${form}: there is no such step`, { help: `the steps are 0 to ${plan.steps.length - 1}` });
  return `${plan.kernels[kernel]!.wgsl}\n`;
}

function facts(compiled: Compiled, plan: Plan, size: Size) {
  const { network, summary, log } = compiled;
  return {
    network: network.name,
    role: network.role,
    input: printShape(network.input),
    output: printShape(network.output),
    ...summary,
    passes: log,
    layers: layersOf(network.graph),
    kernels: plan.steps.length,
    distinctKernels: plan.kernels.length,
    size,
    memory: memoryOf(plan, size),
  };
}

/** Of the whole image at once, on a device without limits. */
function memoryOf(plan: Plan, size: Size): Memory {
  const limits = {
    maxStorageBufferBindingSize: Infinity,
    maxBufferSize: Infinity,
    maxComputeWorkgroupsPerDimension: Infinity,
    memory: Infinity,
  };
  return planTiles(factsOf(plan), size, limits).memory;
}

function report(compiled: Compiled, plan: Plan, size: Size): string {
  const { network, summary, log, program } = compiled;
  const number = (value: number) => (value < Infinity ? printCount(Math.round(100 * value) / 100) : '∞');
  const memory = memoryOf(plan, size);
  const symbolic = typeof network.input[1] !== 'number';
  return [
    `${network.role} ${network.name} : ${printShape(network.input)} -> ${printShape(network.output)}   ${program.source.name}\n`,
    printTable([
      ['parameters', `${number(summary.parameters)} in ${number(summary.tensors)} tensors`],
      [
        'arithmetic',
        `${number(summary.macsPerPixel)} multiply-adds per input pixel (${Number((2e-6 * summary.macsPerPixel).toPrecision(4))} MFLOP)`,
      ],
      ['receptive radius', `${number(summary.receptiveRadius)} input pixels`],
      ['kernels', `${number(plan.steps.length)} dispatches of ${plan.kernels.length} kernels`],
      [
        symbolic ? `memory at ${size.width}x${size.height}` : 'memory',
        `${printBytes(memory.planned)} planned, ${printBytes(memory.naive)} naive, ` +
          `largest binding ${printBytes(memory.largestBinding)}, weights ${printBytes(memory.constants)}`,
      ],
    ]),
    'layers\n',
    layerTable(compiled),
    'passes\n',
    printTable(log.map(({ pass, did }) => [`  ${pass}`, did] as const)),
  ].join('\n');
}

function layerTable({ network }: Compiled): string {
  const rows = layersOf(network.graph).map(({ at, op, shape, count, parameters }) => [
    `  ${at}`,
    `${count} x ${op}`,
    shape,
    parameters ? `${printCount(parameters)} parameters` : '',
  ]);
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
