// `src check`: does this machine's device compute what the file says? Every kernel against the CPU reference, fused
// against unfused, tiles against the whole image; or the gradients of its trainings.

import { type Finding, selfCheck } from '../../compiler/selfcheck.js';
import type { Target } from '../../compiler/target.js';
import { fail, type Source } from '../../diagnostics.js';
import { compile, load, targetFor } from '../../index.js';
import { openDevice } from '../../runtime/node.js';
import { checkGradients, withSmallPatches } from '../../train/gradient-check.js';
import { type Io, write } from '../io.js';
import type { Settings } from '../options.js';
import { readGraph } from '../package.js';

export interface CheckOptions {
  readonly set: Settings;
  readonly gradients?: true;
  readonly network?: string;
  readonly precision: 'f32' | 'f16';
  readonly device: string;
  readonly json?: true;
}

export async function check(io: Io, file: string, options: CheckOptions): Promise<void> {
  const { precision, device: wanted, json } = options;
  const check = prepareCheck(await readGraph(file), options);
  const device = await openDevice({ device: wanted });
  try {
    await write(io.stderr, `${device.summary}\n${options.gradients ? SETTING : ''}`);
    const wrong: Finding[] = [];
    for await (const finding of check(device.gpu, targetFor(device.gpu, precision, device.tuned))) {
      io.signal.throwIfAborted();
      if (!isRight(finding)) wrong.push(finding);
      const line = json ? JSON.stringify({ ...finding, ok: isRight(finding) }) : printFinding(finding);
      await write(io.stdout, `${line}\n`);
    }
    if (wrong.length > 0) {
      fail(`${file}: this device does not compute what the file says`, {
        notes: wrong.map(printFinding),
        help: 'update the GPU driver, or use --device software; and please report it with the output of src doctor',
      });
    }
  } finally {
    await device.close();
  }
}

const SETTING = 'small random images, random parameters: those of perception networks too\n';

type Check = (device: GPUDevice, target: Target) => AsyncGenerator<Finding>;

function prepareCheck(source: Source, { set, network, gradients }: CheckOptions): Check {
  if (gradients) {
    if (network !== undefined) {
      fail('--gradients checks all networks that are trained', { help: 'leave out --network' });
    }
    const program = withSmallPatches((patch) => load(source, { set, ...(patch !== undefined && { patch }) }));
    return (device, target) => checkGradients(device, program, target);
  }
  const compiled = compile(source, { set, ...(network !== undefined && { network }) });
  return (device, target) => selfCheck(device, compiled.network.graph, target);
}

function isRight({ error, tolerance }: Finding): boolean {
  return error <= tolerance;
}

function printFinding(finding: Finding): string {
  const { what, error, tolerance } = finding;
  return `${isRight(finding) ? 'ok   ' : 'WRONG'}  ${error.toExponential(1)} of ${tolerance.toExponential(0)}  ${what}`;
}
