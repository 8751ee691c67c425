// `src export`: a trained network as an ONNX file, for other programs.

import { basename } from 'node:path';
import { fail } from '../../diagnostics.js';
import { compile, toOnnx } from '../../index.js';
import { printBytes } from '../../runtime/gpu.js';
import { prepareOutput, withoutExtension, writeAtomic } from '../files.js';
import { type Io, write } from '../io.js';
import { packageVersion, readGraph } from '../package.js';
import { chooseWeights, type NetworkOptions, trainedWeights } from '../run-weights.js';
import { scaleOf } from './run.js';

export interface ExportOptions extends NetworkOptions {
  readonly output: string;
  readonly precision: 'f32' | 'f16';
}

export async function exportFile(io: Io, path: string, options: ExportOptions): Promise<void> {
  const { output, precision, set } = options;
  if (output === '-')
    fail('ONNX files are not written to standard output', { help: 'name a file: -o net.onnx' });
  if (!/\.onnx$/i.test(output)) {
    fail(`${output}: networks are written as ONNX`, { help: `name it ${withoutExtension(output)}.onnx` });
  }
  const source = await readGraph(path);
  const choice = chooseWeights(source, options);
  const compiled = compile(source, { set });
  const scale = String(scaleOf(compiled, source.name));
  await prepareOutput(output);
  const weights = await trainedWeights(compiled, choice);
  const network = compiled.network.name;
  const metadata = { network, scale, source: source.name, weights: basename(weights.name) };
  const bytes = toOnnx(compiled, { weights, precision, metadata, version: packageVersion() });
  await writeAtomic(output, bytes);
  await write(io.stderr, `${output}: ${network} x${scale} in ${precision}, ${printBytes(bytes.length)}\n`);
}
