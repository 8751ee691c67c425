// Runs command lines: in this process with its streams caught, or as the process users start, from a build of its own
// that is laid out like an installed package.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { main } from '../../cli/program.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import type { WeightTensor } from '../../formats/weights.js';
import { compile, planFor } from '../../index.js';

const ROOT = join(import.meta.dirname, '../..');

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** In this process. */
export async function src(
  argv: readonly string[],
  input = '',
  signal = new AbortController().signal,
): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const texts = [text(stdout), text(stderr)] as const;
  const code = await main(argv, { stdin, stdout, stderr, signal });
  stdout.end();
  stderr.end();
  return { code, out: await texts[0], err: await texts[1] };
}

/** Compiles the program into a folder that has what the package has. */
export function build(): { readonly main: string; remove(): void } {
  const folder = temporaryFolder();
  for (const name of ['node_modules', 'package.json', 'graphs'])
    symlinkSync(join(ROOT, name), join(folder, name));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const dist = join(folder, 'dist');
  // A type error is for `npm run check` to report; the program is written all the same.
  spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', dist], { cwd: ROOT });
  return { main: join(dist, 'cli/main.js'), remove: () => rmSync(folder, { recursive: true }) };
}

/** A process under way, and what becomes of it. */
export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Outcome & { readonly bytes: Buffer }>;
}

export function start(script: string, argv: readonly string[], input?: Uint8Array): Started {
  const child = spawn(process.execPath, [script, ...argv]);
  child.stdin.end(input);
  const code = new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? -1)));
  const caught = Promise.all([code, buffer(child.stdout), text(child.stderr)]);
  const ended = caught.then(([exit, bytes, err]) => ({
    code: exit,
    bytes,
    out: bytes.toString(),
    err: ours(err),
  }));
  return { child, ended };
}

/** Dawn writes warnings of its own. */
function ours(err: string): string {
  return err.replace(/^Warning: .*\n/gm, '');
}

export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), 'src-test-')));
}

/** Writes files by their paths below `folder`; gives their full paths by the same names. */
export function writeFiles<Name extends string>(
  folder: string,
  files: Readonly<Record<Name, string | Uint8Array>>,
): Record<Name, string> {
  const paths = Object.entries<string | Uint8Array>(files).map(([name, content]) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return [name, path];
  });
  return Object.fromEntries(paths);
}

/** Every file below `folder`, hidden ones too. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
}

/** Doubles every pixel, exactly, given the weights below: what goes in can be recognized in what comes out. */
export const DOUBLER = `generator doubler(features = 3) : (3, h, w) -> (3, 2*h, 2*w) {
  upsample(2)
  conv(features)
  conv(3)
}
`;

/** Convolutions that pass their first three channels through, times `gain`. */
export function identityWeights(
  source: string,
  set: Readonly<Record<string, number>> = {},
  gain = 1,
): Uint8Array {
  const { parameters } = planFor(compile(source, { set }));
  const tensors = parameters.map(({ name, shape }): [string, WeightTensor] => {
    const [, inputs = 0, height = 0, width = 0] = shape;
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    const taps = height * width;
    if (taps) for (let c = 0; c < 3; c++) data[(c * inputs + c) * taps + (taps - 1) / 2] = gain;
    return [name, { shape, data, dtype: 'f32' }];
  });
  return writeSafetensors(new Map(tensors));
}
