// What both packages of ONNX Runtime have in common: a session that takes one image and gives one.

import { readFile } from 'node:fs/promises';
import type { Ort } from 'onnxruntime-common';
import type { Job, Peer } from '../peer.js';
import { making } from './making.js';

export async function openSession(
  ort: Ort,
  job: Job,
  options: Readonly<Record<string, unknown>>,
): Promise<Pick<Peer, 'run' | 'output'>> {
  if (job.kind !== 'inference') throw new Error('ONNX Runtime only runs networks here');
  const session = await ort.InferenceSession.create(new Uint8Array(await readFile(job.onnx)), options);
  const { width, height, data } = job.image;
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  return making(async () => {
    const results = await session.run({ [input!]: new ort.Tensor('float32', data, [1, 3, height, width]) });
    return results[output!]!.data;
  });
}
