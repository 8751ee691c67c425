// What the systems have in common that are measured: each runs in a process of its own, is given a job, and then does it
// once whenever it is told to. A peer is a module in peers/ that exports `open`.

import type { PlanarImage } from '../runtime/image.js';
import type { Ceilings } from '../runtime/profile.js';
import type { Net } from './net.js';

/** A network of a `.sr` text. */
export interface SourceJob {
  readonly source: { readonly name: string; readonly text: string };
  /** A safetensors file with all parameters, by the graph's names. */
  readonly weights: string;
}

/** An image through a network, from planes in the host's memory to planes in the host's memory. */
export interface InferenceJob extends SourceJob {
  readonly kind: 'inference';
  readonly net: Net;
  readonly image: PlanarImage;
  /** The same image as a file, and a folder that holds it several times, for programs that read files. */
  readonly files: ImageFiles;
  readonly onnx: string;
  /** The network as programs know it that bring it along. */
  readonly ncnn?: NcnnModel;
}

export interface ImageFiles {
  readonly one: string;
  readonly many: string;
  /** How many more `many` holds. */
  readonly more: number;
}

export interface NcnnModel {
  readonly folder: string;
  readonly name: string;
}

/** Steps of training, each on the same batch: data in the host's memory to losses in the host's memory. */
export interface TrainJob extends SourceJob {
  readonly kind: 'train';
  readonly set: Readonly<Record<string, number>>;
  readonly stage: string;
  readonly patch: number;
  readonly batch: number;
  /** NCHW. */
  readonly lr: Float32Array<ArrayBuffer>;
  readonly hr: Float32Array<ArrayBuffer>;
  /** The players with their losses, as others write them: parameters have the names of `weights`. */
  readonly generator: Net;
  readonly losses: readonly Objective[];
  readonly adam: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
  };
}

/** What one player minimises: a net from `%sr` and `%hr` whose first output is the loss. */
export interface Objective {
  readonly net: Net;
  /** The parameters that this player trains, by their names in the file of weights. */
  readonly trains: readonly string[];
}

/** How fast the device multiplies and adds when nothing else is in the way. */
export interface CeilingJob {
  readonly kind: 'ceiling';
}

export type Job = InferenceJob | TrainJob | CeilingJob;

export type PeerOptions = Readonly<Record<string, string | number | boolean>>;

/** One measurement. */
export interface Rep {
  readonly ms: number;
  /** Of programs that are started for each image: the time of one with its start and its files. */
  readonly endToEnd?: number;
  /** Of a step: each player's loss. */
  readonly losses?: readonly number[];
  readonly ceilings?: Ceilings;
}

export interface Peer {
  /** `tfjs-webgpu 4.22.0`; not of this project, whose commit the report has. */
  readonly version?: string;
  /** The device, where the peer can tell. */
  readonly device?: DeviceName;
  run(): Promise<Rep>;
  /** The image that the last run made: planes of red, green and blue. Training makes none. */
  output?(): Promise<Float32Array>;
  /** Bytes at most so far, where another process than this one works. */
  peakMemory?(): number;
}

export interface DeviceName {
  readonly name: string;
  readonly driver: string;
}

export type OpenPeer = (job: Job, options: PeerOptions) => Promise<Peer>;

/** What a peer needs is not there: no failure, but told. */
export class Missing extends Error {
  constructor(
    message: string,
    /** For this job alone, or for all. */
    readonly what: 'job' | 'system' = 'system',
  ) {
    super(message);
  }
}
