// `src run`: images through a network with trained weights.

import { fail } from '../../diagnostics.js';
import { printShape } from '../../dsl/index.js';
import type { ImageFormat } from '../../formats/image-format.js';
import type { WeightFile } from '../../formats/weights.js';
import { type Compiled, compile } from '../../index.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import { type CpuDevice, chooseDevice } from '../../runtime/node-choice.js';
import { isOrtInstalled } from '../../runtime/node-ort.js';
import { measureCeilings } from '../../runtime/profile-ceilings.js';
import { openCodec } from '../codec.js';
import type { Io } from '../io.js';
import { type Batch, listJobs } from '../jobs.js';
import { openOn, openOnGpu, precisionOn, summaryOn } from '../network-device.js';
import type { ProfileFile } from '../options.js';
import { readGraph } from '../package.js';
import { type Profiled, profileFirst, traceBeside } from '../profile.js';
import { type Report, reporter } from '../progress.js';
import { failWithoutNetwork } from '../published.js';
import { chooseWeights, type NetworkOptions, trainedWeights } from '../run-weights.js';
import { type Opened, type Upscaler, upscaleAll } from '../upscale.js';

export interface RunOptions extends NetworkOptions {
  readonly input?: string;
  readonly output?: string;
  readonly format?: ImageFormat;
  readonly overwrite?: true;
  readonly scale?: number;
  readonly precision: 'f32' | 'f16';
  readonly tile: number | 'auto';
  readonly device: string;
  readonly profile?: ProfileFile;
  readonly json?: true;
  readonly quiet?: true;
}

export async function run(io: Io, path: string, options: RunOptions, named: boolean): Promise<void> {
  const { weights, input, output, set, quiet = false, json = false } = options;
  if (!named && weights !== undefined) failWithoutNetwork(weights);
  if (input === undefined) {
    fail('which image? --input is missing', { help: 'add --input photo.jpg, or --input photos/' });
  }
  if (options.profile && options.device === 'cpu') {
    fail('--profile measures WebGPU devices, and --device cpu is ONNX Runtime', {
      help: 'use --device software, which computes on the CPU too',
    });
  }
  const source = await readGraph(path);
  const choice = chooseWeights(source, options);
  const compiled = compile(source, { set });
  const networkScale = scaleOf(compiled, source.name);
  const scale = options.scale ?? networkScale;

  const { format, overwrite = false } = options;
  const batch = await listJobs(io, {
    input,
    overwrite,
    scale,
    ...(output !== undefined && { output }),
    ...(format && { format }),
  });
  if (json && batch.jobs[0]?.output === '-') {
    fail('--json and the image both go to standard output', { help: 'name a file: --output large.png' });
  }
  const [first] = batch.jobs;
  const trace = options.profile && first && (await traceBeside(options.profile, first.output));
  const report = reporter(io, { json, quiet });
  const trained = await trainedWeights(compiled, choice);
  if (batch.jobs.length > 1 || batch.skipped > 0) {
    report({ event: 'batch', images: batch.jobs.length, skipped: batch.skipped, ignored: batch.ignored });
  }
  if (batch.jobs.length > 0)
    await upscale(io, compiled, trained, batch, { scale, networkScale }, { ...options, trace }, report);
}

/** The network's enlargement; refuses what does not take an RGB image and give a larger one. */
export function scaleOf({ network }: Compiled, file: string): number {
  const { name, role, input, output, scale } = network;
  if (typeof input[1] === 'number') {
    fail(`${file}: \`${name}\` takes images of one size only`, {
      notes: [`its input is ${printShape(input)}`],
      help: 'write its signature with h and w: `(3, h, w) -> (3, scale*h, scale*w)`',
    });
  }
  if (role !== 'generator' || scale === undefined || input[0] !== 3 || output[0] !== 3) {
    fail(`${file}: \`${name}\` does not turn an RGB image into an RGB image`, {
      notes: [`it is a ${role} of ${input[0]} channels to ${output[0]}`],
      help: 'run a generator from (3, h, w) to (3, scale*h, scale*w)',
    });
  }
  return scale;
}

/** The CPU is never lost. */
const NEVER = new Promise<never>(() => {});

/** Where ONNX Runtime would have been chosen, a profile is of another device than runs without one. */
async function openProfiled(wanted: string): Promise<NodeDevice> {
  const device = await openDevice({ device: wanted });
  if (wanted !== 'auto' || device.description.kind === 'hardware' || !isOrtInstalled()) return device;
  return { ...device, summary: `${device.summary}; without --profile, ONNX Runtime runs networks here` };
}

interface Computing extends Pick<RunOptions, 'precision' | 'tile' | 'device'> {
  /** Where the trace of a profile goes, if one is wanted. */
  readonly trace: string | undefined;
}

async function upscale(
  { signal }: Io,
  compiled: Compiled,
  weights: WeightFile,
  batch: Batch,
  scales: Pick<Upscaler, 'scale' | 'networkScale'>,
  { precision, tile, device: wanted, trace }: Computing,
  report: Report,
): Promise<void> {
  const codec = openCodec();
  const giveUp = () => void codec.close();
  signal.addEventListener('abort', giveUp);
  let device: NodeDevice | CpuDevice | undefined;
  const openNetwork = async (): Promise<Opened> => {
    const opening = { weights, precision, ...(tile !== 'auto' && { tile }) };
    let network: Opened['network'];
    if (trace === undefined) {
      device = await chooseDevice({ device: wanted });
      network = await openOn(device, compiled, opening);
    } else {
      device = await openProfiled(wanted);
      const ceilings = await measureCeilings(device.gpu);
      const keep = (profiled: Profiled) => report({ event: 'profile', ...profiled });
      const recorded = await openOnGpu(device, compiled, opening);
      network = profileFirst(compiled.network.name, recorded, trace, ceilings, keep);
    }
    const { name, kind } = device.description;
    report({
      event: 'ready',
      network: compiled.network.name,
      weights: weights.name,
      precision: precisionOn(device, precision),
      device: name,
      kind,
      summary: summaryOn(device, precision),
    });
    return { network, lost: 'gpu' in device ? device.gpu.lost : NEVER };
  };
  try {
    await upscaleAll(batch, { open: openNetwork, codec, ...scales, report, signal });
  } finally {
    signal.removeEventListener('abort', giveUp);
    await codec.close();
    await device?.close();
  }
}
