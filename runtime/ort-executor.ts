// Runs a network through ONNX Runtime: any size, in tiles with their halo, like the executor of plans beside it. The plan says how
// far each step looks and what it costs, so the same search cuts the network into segments and the image into tiles; a
// segment is an ONNX model of its own. Tiles bound the memory, and the time that a call of ONNX Runtime, which blocks,
// keeps the host from reporting progress and from hearing that it should stop.

import { checkPlan, type Executor, emptyResult, type NetworkOptions, type RunOptions } from './executor.js';
import { type Facts, factsOf, pixels, type Scale } from './halo.js';
import { cutOut, type PlanarImage, pasteIn, type Region } from './image.js';
import type { Plan } from './plan.js';
import { coreOf, intersect, regionOf } from './regions.js';
import { macsOf, type Part, type Schedule, type Segment, type Size } from './schedule.js';
import { planTiles } from './tiles.js';
import { inTurn } from './turns.js';

/** ONNX Runtime on some device. */
export interface Ort {
  /** Multiply-accumulates that it does in less than a second: what one call should ask for at most. */
  readonly macs: number;
  open(model: Uint8Array): Promise<OrtModel>;
}

export interface OrtModel {
  /** Images `[1][channels][height][width]` by name. */
  run(inputs: Readonly<Record<string, OrtImage>>): Promise<Readonly<Record<string, Float32Array>>>;
  close(): Promise<void>;
}

export interface OrtImage {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A network that can be run in segments. */
export interface OnnxNetwork {
  /** For sizes, tiles and costs; its kernels are not used. */
  readonly plan: Plan;
  /** Steps `[start, end)` as a model. */
  segment(start: number, end: number): OnnxSegment;
}

export interface OnnxSegment {
  readonly model: Uint8Array;
  /** What it reads, and what later segments read of it; the network's own input and output are among them. */
  readonly inputs: readonly OnnxImage[];
  readonly outputs: readonly OnnxImage[];
}

/** A value that is an image: its name in all models, and its size over the input's. */
export interface OnnxImage {
  readonly name: string;
  readonly channels: number;
  readonly scale: Scale;
}

/** Memory of ONNX Runtime over that of the plan's tensors: it copies what it concatenates, and what some convs read. */
const OVERHEAD = 2;
const DEFAULT_MEMORY = 2 ** 31;

interface Loaded extends OnnxSegment {
  readonly session: OrtModel;
}

/** An image from which tiles are cut and into which they are pasted, and where its corner lies. */
interface Canvas {
  readonly image: PlanarImage;
  readonly top: number;
  readonly left: number;
}

export class OrtNetwork implements Executor {
  readonly #ort: Ort;
  readonly #network: OnnxNetwork;
  readonly #facts: Facts;
  readonly #options: NetworkOptions;
  /** The segments of the size that ran last, by their steps. */
  readonly #loaded = new Map<string, Loaded>();
  readonly #inTurn = inTurn();

  constructor(ort: Ort, network: OnnxNetwork, options: NetworkOptions = {}) {
    checkPlan(network.plan);
    this.#ort = ort;
    this.#network = network;
    this.#facts = factsOf(network.plan);
    this.#options = options;
  }

  /** How an image of this size will be run. */
  schedule(size: Size): Schedule {
    const { memory = DEFAULT_MEMORY, tile } = this.#options;
    const limits = {
      maxStorageBufferBindingSize: Infinity,
      maxBufferSize: Infinity,
      maxComputeWorkgroupsPerDimension: Infinity,
      memory: memory / OVERHEAD,
      ...(tile === undefined && { macs: this.#ort.macs }),
    };
    return planTiles(this.#facts, size, limits, tile);
  }

  run(image: PlanarImage, options: RunOptions = {}): Promise<PlanarImage> {
    return this.#inTurn(() => this.#run(image, options));
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load([]);
    });
  }

  async #run(image: PlanarImage, { onProgress, signal }: RunOptions): Promise<PlanarImage> {
    const result = emptyResult(this.#facts, image);
    signal?.throwIfAborted();
    const schedule = this.schedule(image);
    const models = await this.#load(schedule.segments);
    let done = 0;
    for (const part of schedule.parts) {
      for await (const macs of this.#runPart(schedule, models, part, image, result)) {
        done += macs;
        onProgress?.(schedule.macs > 0 ? Math.min(1, done / schedule.macs) : 1);
        signal?.throwIfAborted();
      }
    }
    return result;
  }

  /** Models of these segments; frees all others. */
  async #load(segments: readonly Segment[]): Promise<Loaded[]> {
    const wanted = new Map(segments.map((segment) => [`${segment.start} ${segment.end}`, segment]));
    for (const [key, { session }] of this.#loaded) {
      if (wanted.has(key)) continue;
      this.#loaded.delete(key);
      await session.close();
    }
    const models: Loaded[] = [];
    for (const [key, { start, end }] of wanted) {
      const model = this.#loaded.get(key) ?? (await this.#open(start, end));
      this.#loaded.set(key, model);
      models.push(model);
    }
    return models;
  }

  async #open(start: number, end: number): Promise<Loaded> {
    const segment = this.#network.segment(start, end);
    return { ...segment, session: await this.#ort.open(segment.model) };
  }

  /** Yields the multiply-accumulates of every tile that is done. */
  async *#runPart(
    { segments, size }: Schedule,
    models: readonly Loaded[],
    part: Part,
    image: PlanarImage,
    result: PlanarImage,
  ): AsyncGenerator<number> {
    const { plan } = this.#facts;
    const [input, output] = [plan.inputs[0]!.name, plan.outputs[0]!.name];
    // What is alive between segments.
    const canvases = new Map<string, Canvas>([[input, { image, top: 0, left: 0 }]]);
    for (const [i, segment] of segments.entries()) {
      const { session, inputs, outputs } = models[i]!;
      for (const value of outputs) {
        const whole = { image: result, top: 0, left: 0 };
        canvases.set(value.name, value.name === output ? whole : emptyCanvas(value, part, size));
      }
      for (const tile of tilesOf(segment)) {
        const feeds = inputs.map((value): [string, OrtImage] => [
          value.name,
          cutTile(value, canvases.get(value.name)!, regionOf(part, tile, value.scale, 'from', 'to')),
        ]);
        const planes = await session.run(Object.fromEntries(feeds));
        for (const { name, scale } of outputs) {
          const computed = regionOf(part, tile, scale, 'from', 'to');
          const own = regionOf(part, tile, scale, 'start', 'end');
          const valid = name === output ? intersect(own, coreOf(part, scale)) : own;
          const canvas = canvases.get(name)!;
          pasteIn(planes[name]!, within(canvas, computed), within(canvas, valid), canvas.image);
        }
        yield macsOf(plan, segment, sizeOf(tile));
      }
      const later = new Set(models.slice(i + 1).flatMap((model) => model.inputs.map(({ name }) => name)));
      for (const name of canvases.keys()) if (!later.has(name)) canvases.delete(name);
    }
  }
}

/** For the whole part. */
function emptyCanvas({ channels, scale }: OnnxImage, part: Part, size: Size): Canvas {
  const [width, height] = [pixels(size.width, scale), pixels(size.height, scale)];
  const data = new Float32Array(channels * width * height);
  return {
    image: { width, height, data },
    top: pixels(part.rows.from, scale),
    left: pixels(part.columns.from, scale),
  };
}

function cutTile({ channels }: OnnxImage, canvas: Canvas, region: Region): OrtImage {
  const shape = [1, channels, region.bottom - region.top, region.right - region.left];
  return { data: cutOut(canvas.image, within(canvas, region)), shape };
}

/** A region of the image in the canvas's own pixels. */
function within({ top, left }: Canvas, region: Region): Region {
  return {
    top: region.top - top,
    bottom: region.bottom - top,
    left: region.left - left,
    right: region.right - left,
  };
}

function tilesOf({ rows, columns }: Segment): Part[] {
  return rows.flatMap((row) => columns.map((column) => ({ rows: row, columns: column })));
}

function sizeOf({ rows, columns }: Part): Size {
  return { height: rows.to - rows.from, width: columns.to - columns.from };
}
