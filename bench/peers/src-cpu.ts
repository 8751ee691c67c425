// This project without a GPU: networks go through ONNX Runtime, as `src run --device cpu` has it.

import { readFile } from 'node:fs/promises';
import { readSafetensors } from '../../formats/safetensors.js';
import { compile, openOrt } from '../../index.js';
import { loadOrt } from '../../node.js';
import type { OpenPeer } from '../peer.js';
import { installed } from './installed.js';
import { making } from './making.js';

export const open: OpenPeer = async (job) => {
  if (job.kind !== 'inference') throw new Error('it only runs networks');
  installed('onnxruntime-node');
  const weights = readSafetensors(job.weights, await readFile(job.weights));
  const network = openOrt(await loadOrt(), compile(job.source), { weights });
  return making(async () => (await network.run(job.image)).data);
};
