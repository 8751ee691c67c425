// This project without a GPU: the network that `src run --device cpu` gives to ONNX Runtime.

import { readFile } from 'node:fs/promises';
import { onnxNetwork } from '../../compiler/onnx/segments.js';
import { optimizeForExchange } from '../../compiler/passes/pipeline.js';
import { readSafetensors } from '../../formats/safetensors.js';
import { compile } from '../../index.js';
import { isOrtInstalled, loadOrt } from '../../runtime/node-ort.js';
import { OrtNetwork } from '../../runtime/ort-executor.js';
import { version } from '../machine.js';
import { Missing, type OpenPeer } from '../peer.js';
import { making } from './making.js';

export const open: OpenPeer = async (job) => {
  if (job.kind !== 'inference') throw new Error('it only runs networks');
  if (!isOrtInstalled()) throw new Missing('onnxruntime-node is not installed: npm run bench:setup');
  const { tensors } = readSafetensors(job.weights, await readFile(job.weights));
  const weights = new Map([...tensors].map(([name, { data }]) => [name, data]));
  const { graph } = compile(job.source, { set: job.set }).network;
  const network = new OrtNetwork(await loadOrt(), onnxNetwork(optimizeForExchange(graph), weights));
  return { version: `src ${version}`, ...making(async () => (await network.run(job.image)).data) };
};
