// TensorFlow.js on WebGPU, in Node: the same network with its ops, fused where it can, and steps of its own Adam.

import { readFile } from 'node:fs/promises';
import { readSafetensors } from '../../formats/safetensors.js';
import { channelsLast, planes } from '../images.js';
import { type InferenceJob, Missing, type OpenPeer, type Peer, type TrainJob } from '../peer.js';
import { installed } from './installed.js';
import { making } from './making.js';
import { installNavigator } from './navigator.js';

export const open: OpenPeer = async (job) => {
  const version = `tfjs-webgpu ${installed('@tensorflow/tfjs-backend-webgpu')}`;
  installNavigator();
  const tf = await import('@tensorflow/tfjs');
  await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('its WebGPU backend does not start');
  await tf.ready();
  const { constants, evaluate, fused, variables } = await import('./tfjs-net.js');
  if (job.kind === 'ceiling') throw new Error('it measures no ceilings');
  const { tensors } = readSafetensors(job.weights, await readFile(job.weights));
  return { version, ...(job.kind === 'inference' ? inference(job) : training(job)) };

  function inference({ net, image }: InferenceJob): Pick<Peer, 'run' | 'output'> {
    const fast = fused(net);
    const params = constants(net, tensors);
    const { width, height, data } = image;
    const pixels = channelsLast(data, [1, 3, height, width], 3);
    const { run, output } = making(async () => {
      const y = tf.tidy(() => {
        const x = tf.tensor(pixels, [1, height, width, 3]);
        return evaluate(fast, new Map([...params, [net.inputs[0]!, x]]))[0]!;
      });
      const made = await y.data();
      y.dispose();
      return made;
    });
    return { run, output: async () => planes(await output()) };
  }

  function training(train: TrainJob): Pick<Peer, 'run' | 'output'> {
    const { batch, patch, adam, generator, losses } = train;
    const [objective, other] = losses;
    if (!objective || other) throw new Missing('it trains one player only here', 'job');
    const params = variables(generator, tensors);
    const optimizer = tf.train.adam(adam.lr, ...adam.betas, adam.eps);
    const side = patch / 4;
    const lr = channelsLast(train.lr, [batch, 3, side, side], 3);
    const hr = channelsLast(train.hr, [batch, 3, patch, patch], 3);
    return {
      async run() {
        const began = performance.now();
        const cost = tf.tidy(() => {
          const x = tf.tensor(lr, [batch, side, side, 3]);
          const original = tf.tensor(hr, [batch, patch, patch, 3]);
          const loss = () => {
            const [sr] = evaluate(generator, new Map([...params, [generator.inputs[0]!, x]]));
            return evaluate(
              objective.net,
              new Map([
                ['%sr', sr!],
                ['%hr', original],
              ]),
            )[0]!;
          };
          return optimizer.minimize(loss, true, [...params.values()]);
        });
        const [loss] = await cost.data();
        cost.dispose();
        return { ms: performance.now() - began, losses: [loss!] };
      },
    };
  }
};
