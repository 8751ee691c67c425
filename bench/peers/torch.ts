// PyTorch, in a Python process of its own (torch_peer.py) that is told the job in files and then does it when asked.

import { spawn, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../machine.js';
import { type Job, Missing, type OpenPeer, type Rep } from '../peer.js';
import { converse, peakOf } from './processes.js';

export const open: OpenPeer = async (job, options) => {
  const python = findPython();
  const { request, output } = await writeRequest(job, options);
  const child = spawn(python, [join(ROOT, 'bench/peers/torch_peer.py'), request], { stdio: 'pipe' });
  const ask = converse(child);
  const opened = (await ask()) as { version: string } | { missing: string };
  if ('missing' in opened) throw new Missing(opened.missing);
  return {
    version: opened.version,
    run: async () => (await ask('run')) as Rep,
    async output() {
      await ask('output');
      const bytes = await readFile(output);
      return new Float32Array(Uint8Array.from(bytes).buffer);
    },
    peakMemory: () => peakOf(child),
  };
};

/** The first Python that has PyTorch. */
function findPython(): string {
  const { SRC_BENCH_PYTHON: chosen } = process.env;
  const candidates = chosen ? [chosen] : ['python3', '/usr/bin/python3', 'python'];
  const found = candidates.find((python) => spawnSync(python, ['-c', 'import torch']).status === 0);
  if (found) return found;
  throw new Missing(
    `no PyTorch in ${candidates.join(', ')}: pip install torch, or SRC_BENCH_PYTHON=/path/to/python`,
  );
}

async function writeRequest(job: Job, options: object): Promise<{ request: string; output: string }> {
  if (job.kind === 'ceiling') throw new Error('it measures no ceilings');
  const folder = dirname(job.weights);
  const [request, output] = [join(folder, 'torch.json'), join(folder, 'torch.f32')];
  const write = async (name: string, data: Float32Array) => {
    const file = join(folder, `${name}.f32`);
    await writeFile(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return file;
  };
  const { kind, weights } = job;
  const what =
    job.kind === 'inference'
      ? {
          net: job.net,
          shape: [1, 3, job.image.height, job.image.width],
          x: await write('x', job.image.data),
        }
      : {
          generator: job.generator,
          losses: job.losses,
          adam: job.adam,
          batch: job.batch,
          patch: job.patch,
          lr: await write('lr', job.lr),
          hr: await write('hr', job.hr),
        };
  await writeFile(request, JSON.stringify({ kind, weights, output, options, ...what }));
  return { request, output };
}
