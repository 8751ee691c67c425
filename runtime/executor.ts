// Runs a plan: the weights go to the device once, then images of any size are sent through it, whole or in tiles.

import { fail, internal } from '../diagnostics.js';
import { uploadConstants } from './constant-buffers.js';
import { checkWeights, type Weights } from './constants.js';
import { evalDim } from './dims.js';
import { LossGuard, OutOfMemory } from './gpu.js';
import { type Facts, factsOf } from './halo.js';
import type { PlanarImage } from './image.js';
import { Pacer } from './pacer.js';
import { checkFeatures, Pipelines } from './pipelines.js';
import { PLAN_VERSION, type Plan } from './plan.js';
import type { Recording } from './profile.js';
import { Clock } from './profile-clock.js';
import { buildProgram, type Parts, type Program } from './program.js';
import { Readback } from './readback.js';
import { largestPiece, sendProgram, warmUp } from './run.js';
import { type Schedule, type Size, sizesOf } from './schedule.js';
import { planTiles, roundSize } from './tiles.js';
import { inTurn } from './turns.js';

export interface NetworkOptions {
  /** Bytes of device memory to use at most. */
  readonly memory?: number;
  /** Side of the tiles in pixels of the input, without their halo; by default as large as fits. */
  readonly tile?: number;
}

export interface RunOptions {
  /** Called now and then with the fraction that is done, 1 at the end. */
  readonly onProgress?: (fraction: number) => void;
  readonly signal?: AbortSignal;
}

/** A network that is ready to run, on whatever device. */
export interface Executor {
  /** One image through the network. Calls queue up. */
  run(image: PlanarImage, options?: RunOptions): Promise<PlanarImage>;
  /** Frees what the network holds once all runs have ended. The device stays open. */
  close(): Promise<void>;
}

export interface Recorded {
  readonly result: PlanarImage;
  readonly recording: Recording;
}

/** WebGPU does not say how much there is. */
const DEFAULT_MEMORY = 2 ** 32;
/** A device that cannot give this much is not asked for less. */
const LEAST_MEMORY = 2 ** 28;

/** Uploads the weights and compiles the kernels of `plan`. */
export async function open(
  device: GPUDevice,
  plan: Plan,
  weights: Weights,
  options: NetworkOptions = {},
): Promise<Network> {
  checkPlan(plan);
  checkFeatures(device, plan.kernels);
  checkWeights(plan.parameters, weights);
  const guard = new LossGuard(device);
  const pipelines = new Pipelines(device);
  const [constants] = await guard.wait(
    Promise.all([
      uploadConstants(device, plan, weights),
      Promise.all(plan.kernels.map((kernel) => pipelines.get(kernel))),
    ]),
  );
  return new Network({ device, pipelines, facts: factsOf(plan), constants }, guard, options);
}

/** Refuses what is no plan that this version runs. */
export function checkPlan(plan: Plan): void {
  const { format, version, inputs, outputs, buffers } = plan;
  if (format !== 'src-plan' || version !== PLAN_VERSION) {
    fail(`this is no plan of version ${PLAN_VERSION}`, {
      notes: [`it says format ${format}, version ${version}`],
      help: 'compile the network again',
    });
  }
  if (inputs.length !== 1 || outputs.length !== 1) {
    fail(`plan "${plan.name}" has ${inputs.length} inputs and ${outputs.length} outputs`, {
      help: 'run a network with one of each',
    });
  }
  for (const { name, buffer } of [...inputs, ...outputs]) {
    if (buffers[buffer]?.dtype !== 'f32') internal(`port ${name} is not f32`);
  }
}

interface Loaded {
  readonly program: Program;
  readonly readback: Readback;
}

/** A plan on a device, ready to run. */
export class Network implements Executor {
  readonly #parts: Parts;
  readonly #guard: LossGuard;
  readonly #pacer: Pacer;
  readonly #options: NetworkOptions;
  /** Bytes to use at most. */
  #memory: number;
  /** What the size that ran last needs on the device. */
  #loaded: Loaded | undefined;
  readonly #inTurn = inTurn();
  /** Settles when all runs that were sent have ended. */
  #ended: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts, guard: LossGuard, options: NetworkOptions) {
    this.#parts = parts;
    this.#guard = guard;
    this.#options = options;
    this.#memory = options.memory ?? DEFAULT_MEMORY;
    this.#pacer = new Pacer(parts.device, guard);
  }

  /** How an image of this size will be run. */
  schedule(size: Size): Schedule {
    const { limits } = this.#parts.device;
    return planTiles(
      this.#parts.facts,
      size,
      { ...limitsOf(limits), memory: this.#memory },
      this.#options.tile,
    );
  }

  /** The next run begins when this one is sent: its pixels travel while this one is computed. */
  async run(image: PlanarImage, options: RunOptions = {}): Promise<PlanarImage> {
    const { ended, result } = await this.#inTurn(async () => {
      const { machinery, result } = await this.#begin(image, options);
      const { ended } = await sendProgram(machinery, image, result);
      this.#ended = Promise.allSettled([this.#ended, ended]);
      return { ended, result };
    });
    await ended;
    return result;
  }

  /** The same, and what the device and the host did for it; the device needs `timestamp-query`. */
  record(image: PlanarImage, options: RunOptions = {}): Promise<Recorded> {
    return this.#inTurn(async () => {
      const { machinery, result } = await this.#begin(image, options);
      const { device, facts, pacer, program } = machinery;
      await this.#ended;
      const clock = await Clock.open({ device, guard: this.#guard, pacer });
      try {
        await warmUp(program, pacer);
        pacer.time(clock);
        const { ended } = await sendProgram(machinery, image, result);
        await pacer.drain();
        await ended;
        return { result, recording: await clock.recording(facts.plan) };
      } catch (error) {
        await pacer.cancel();
        throw error;
      } finally {
        pacer.time(undefined);
        clock.destroy();
      }
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#ended;
      this.#unload();
      this.#parts.constants.destroy();
    });
  }

  /** All that is needed to compute `result`, which has no values yet. */
  async #begin(image: PlanarImage, { onProgress, signal }: RunOptions) {
    const result = emptyResult(this.#parts.facts, image);
    signal?.throwIfAborted();
    const { width, height } = image;
    const { program, readback } = await this.#load({ width, height });
    const total = program.cost * program.schedule.parts.length;
    let done = 0;
    this.#pacer.start({
      signal,
      onDone: (cost) => {
        done += cost;
        onProgress?.(Math.min(1, done / total));
      },
    });
    const { device, facts } = this.#parts;
    return { machinery: { device, facts, pacer: this.#pacer, program, readback }, result };
  }

  async #load(size: Size): Promise<Loaded> {
    const { width, height } = roundSize(size, this.#parts.facts.plan.align);
    const image = this.#loaded?.program.schedule.image;
    if (this.#loaded && image?.width === width && image.height === height) return this.#loaded;
    await this.#ended;
    this.#unload();
    this.#loaded = await this.#guard.wait(this.#build(size));
    return this.#loaded;
  }

  /** Plans for less memory as long as the device has less than was thought. */
  async #build(size: Size): Promise<Loaded> {
    const { facts, device } = this.#parts;
    let program: Program | undefined;
    try {
      program = await buildProgram(this.#parts, this.schedule(size));
      const bytes = largestPiece(facts, program);
      return { program, readback: await Readback.create(device, this.#guard, this.#pacer, bytes) };
    } catch (error) {
      program?.destroy();
      if (!(error instanceof OutOfMemory) || this.#memory < LEAST_MEMORY) throw error;
      this.#memory /= 2;
      return this.#build(size);
    }
  }

  #unload(): void {
    this.#loaded?.program.destroy();
    this.#loaded?.readback.destroy();
    this.#loaded = undefined;
  }
}

/** The output image for `image`, which must be one that the network takes. */
export function emptyResult({ plan, scales }: Facts, { width, height, data }: PlanarImage): PlanarImage {
  const [input] = plan.inputs;
  const [output] = plan.outputs;
  if (width < 1 || height < 1) fail(`an image of ${width}x${height} has no pixels`);
  const channels = data.length / (width * height);
  if (channels !== input!.channels) {
    fail(`the image has ${channels} channels, ${plan.name} takes ${input!.channels}`, {
      help: 'convert the image first',
    });
  }
  const scale = scales[input!.buffer] && scales[output!.buffer];
  if (!scale) {
    fail(`${plan.name} takes images of one size only, or gives no scaled image`, {
      help: 'run a generator from (3, h, w) to (3, scale*h, scale*w)',
    });
  }
  const sizes = sizesOf(roundSize({ width, height }, plan.align));
  if (plan.buffers.some(({ dims }) => dims.some((dim) => evalDim(dim, sizes) < 1))) {
    fail(`an image of ${width}x${height} is smaller than the kernels of ${plan.name}`, {
      help: 'pad the image first',
    });
  }
  const { mul, div } = scale;
  const scaled = { width: Math.ceil((width * mul) / div), height: Math.ceil((height * mul) / div) };
  return { ...scaled, data: new Float32Array(output!.channels * scaled.width * scaled.height) };
}

function limitsOf({
  maxStorageBufferBindingSize,
  maxBufferSize,
  maxComputeWorkgroupsPerDimension,
}: GPUSupportedLimits) {
  return { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension };
}
