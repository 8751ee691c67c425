// This project: a network on the device that `src run` takes, and training steps as `src train` runs them.

import { readFile } from 'node:fs/promises';
import { planStep } from '../../compiler/step-plan.js';
import { trainingStep } from '../../compiler/training.js';
import { readSafetensors } from '../../formats/safetensors.js';
import { compile, load, open as openNetwork, targetFor } from '../../index.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import type { DType } from '../../runtime/plan.js';
import { type Outcome, Stepper } from '../../runtime/stepper.js';
import { stageNamed, stepSpec, trainedNetworks } from '../../train/stages.js';
import { channelsLast } from '../images.js';
import type { InferenceJob, OpenPeer, Peer, TrainJob } from '../peer.js';
import { making } from './making.js';

export const open: OpenPeer = async (job, options) => {
  const device = await openDevice();
  const precision = options.precision as DType;
  const about = { device: device.description };
  if (job.kind === 'inference') return { ...about, ...(await inference(device, job, precision)) };
  if (job.kind === 'train') return { ...about, ...(await training(device, job, precision)) };
  throw new Error(`src does no ${job.kind}`);
};

type Work = Pick<Peer, 'run' | 'output'>;

async function inference({ gpu, tuned }: NodeDevice, job: InferenceJob, precision: DType): Promise<Work> {
  const { source, image } = job;
  const weights = readSafetensors(job.weights, await readFile(job.weights));
  const network = await openNetwork(gpu, compile(source), { weights, precision, tuned });
  return making(async () => (await network.run(image)).data);
}

/** Far from where gradients of these networks overflow or vanish in 16 bits; the same in torch_peer.py. */
const LOSS_SCALE = 2 ** 10;

async function training({ gpu, tuned }: NodeDevice, job: TrainJob, precision: DType): Promise<Work> {
  const program = load(job.source, { set: job.set, patch: job.patch });
  const stage = { ...stageNamed(program, job.stage), batch: job.batch };
  const step = trainingStep(stepSpec(program, stage, precision));
  const { plan } = planStep(step, targetFor(gpu, precision, tuned));
  const { tensors } = readSafetensors(job.weights, await readFile(job.weights));
  const values = new Map([...tensors].map(([name, { data }]) => [name, data]));
  const networks = trainedNetworks(program, stage).map(({ name }) => name);
  const players = step.losses.flatMap((name, i) => (name.includes('.') ? [] : [i]));
  let losses: number[] = [];
  let outcome: Outcome = 'updated';
  const stepper = await Stepper.open(gpu, plan, values, {
    adam: Object.fromEntries(networks.map((name) => [name, job.adam])),
    ...(precision === 'f16' && { lossScale: { scale: LOSS_SCALE, since: 0 } }),
    onLosses: (_t, all, _norms, became) => {
      losses = players.map((i) => all[i]!);
      outcome = became;
    },
  });
  const rates = Object.fromEntries(networks.map((name) => [name, job.adam.lr]));
  const side = job.patch / 4;
  const inputs = [
    {
      lr: channelsLast(job.lr, [job.batch, 3, side, side]),
      hr: channelsLast(job.hr, [job.batch, 3, job.patch, job.patch]),
    },
  ];
  let t = 0;
  return {
    async run() {
      const began = performance.now();
      t++;
      await stepper.step({ t, rates, inputs });
      await stepper.drain();
      if (outcome !== 'updated') throw new Error(`step ${t} is ${outcome}: gradients overflow`);
      return { ms: performance.now() - began, losses };
    },
  };
}
