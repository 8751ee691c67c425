// The job of a measurement: everything that its systems are given, and a folder for what they want as files.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { typesOf } from '../compiler/graph.js';
import { opNamed } from '../compiler/ops/registry.js';
import { sizeOf } from '../compiler/tensor.js';
import { trainingStep } from '../compiler/training.js';
import { writeSafetensors } from '../formats/safetensors.js';
import type { WeightFile } from '../formats/weights.js';
import { compile, load, toOnnx } from '../index.js';
import { encodeImage, fromPlanes } from '../node.js';
import { initialValues } from '../train/initialize.js';
import { stageNamed, stepSpec, trainedNetworks } from '../train/stages.js';
import { reduced, testImage } from './images.js';
import { version } from './machine.js';
import { netOf } from './net.js';
import { type BenchNetwork, fileOf, SEED, sourceOf, type Weights, weightsOf } from './networks.js';
import type { ImageFiles, InferenceJob, TrainJob } from './peer.js';

/** A folder for the time of `work`. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'src-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface PreparedInference {
  readonly job: InferenceJob;
  readonly weights: Weights['origin'];
  /** Multiply-adds count twice; padding is not counted. */
  readonly flops: number;
}

export async function inferenceJob(
  folder: string,
  network: BenchNetwork,
  { width, height }: Size,
  models: readonly string[],
): Promise<PreparedInference> {
  const source = sourceOf(network);
  const compiled = compile(source);
  const { file, origin, ncnn } = await weightsOf(network, compiled, models);
  const image = testImage(width, height);
  const onnx = join(folder, 'network.onnx');
  await writeFile(onnx, toOnnx(compiled, { weights: file, version }));
  return {
    job: {
      kind: 'inference',
      source,
      weights: await writeWeights(folder, file),
      net: netOf(compiled.network.graph),
      image,
      files: await writeImages(folder, image),
      onnx,
      ...(ncnn && { ncnn }),
    },
    weights: origin,
    flops: 2 * compiled.summary.macsPerPixel * width * height,
  };
}

/** Files for programs that take some seconds each anyway. */
const MORE = 2;

export async function writeImages(
  folder: string,
  { width, height, data }: InferenceJob['image'],
): Promise<ImageFiles> {
  const planes = { rgb: { channels: 3, height, width, data } };
  const blank = {
    width,
    height,
    channels: 3 as const,
    depth: 8 as const,
    data: new Uint8Array(3 * width * height),
  };
  const png = await encodeImage(fromPlanes(planes, blank), 'png');
  const [one, many] = [join(folder, 'image.png'), join(folder, 'images')];
  mkdirSync(many);
  await writeFile(one, png);
  for (let i = 0; i <= MORE; i++) await writeFile(join(many, `${i}.png`), png);
  return { one, many, more: MORE };
}

async function writeWeights(folder: string, { tensors }: WeightFile): Promise<string> {
  const file = join(folder, 'weights.safetensors');
  await writeFile(file, writeSafetensors(tensors));
  return file;
}

export interface TrainCase {
  readonly file: string;
  readonly set: Readonly<Record<string, number>>;
  readonly stage: string;
  readonly patch: number;
  readonly batch: number;
}

export interface PreparedTraining {
  readonly job: TrainJob;
  /** Multiply-adds count twice. */
  readonly flops: number;
}

/** Always from random weights: what is measured is a step, and that all systems take the same. */
export async function trainJob(folder: string, one: TrainCase): Promise<PreparedTraining> {
  const { set, patch, batch } = one;
  const source = sourceOf(one);
  const program = load(source, { set, patch });
  const stage = { ...stageNamed(program, one.stage), batch };
  const spec = stepSpec(program, stage, 'f32');
  const { graph } = trainingStep(spec);
  const [prefix, ...critics] = trainedNetworks(program, stage).map(({ name }) => `${name}.`);
  const generator = netOf(spec.generator.graph, prefix);
  const losses = [{ net: netOf(spec.loss.generator), trains: generator.params.map(({ name }) => name) }];
  if (spec.loss.discriminator) {
    const net = netOf(spec.loss.discriminator);
    const names = net.params.map(({ name }) => name);
    losses.push({ net, trains: names.filter((name) => critics.some((critic) => name.startsWith(critic))) });
  }
  const types = typesOf(graph);
  const macs = graph.nodes.map(
    ({ op, inputs, attrs, type }) =>
      opNamed(op).macs(
        inputs.map((ref) => types.get(ref)!),
        attrs,
      ) * sizeOf(type.shape as number[]),
  );
  const file = fileOf(graph.params, initialValues(graph.params, SEED));
  const originals = Array.from({ length: batch }, (_, seed) => testImage(patch, patch, seed));
  return {
    job: {
      kind: 'train',
      source,
      set,
      weights: await writeWeights(folder, file),
      stage: one.stage,
      patch,
      batch,
      lr: joined(originals.map((image) => reduced(image, patch / spec.width).data)),
      hr: joined(originals.map(({ data }) => data)),
      generator,
      losses,
      adam: stage.optimizer,
    },
    flops: 2 * macs.reduce((sum, one) => sum + one),
  };
}

function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
