// The thread behind data-thread.ts.

import { parentPort } from 'node:worker_threads';
import { internal, UserError } from '../diagnostics.js';
import type { Batch, BatchSource } from '../train/batch.js';
import { batchSource } from '../train/data/batches.js';
import { prepareImage } from './data-prepare.js';
import type { Reply, Request } from './data-thread.js';
import { readBytes } from './files.js';
import { decodeImage } from './images/decode.js';

let source: BatchSource | undefined;

const read = async (path: string) => decodeImage(path, await readBytes(path));

async function answer(request: Request): Promise<{ result?: unknown; transfer?: ArrayBuffer[] }> {
  switch (request.call) {
    case 'open': {
      const [files, options] = request.args;
      const reduced = files.map((file) => file.reduced);
      source = batchSource(
        {
          images: files,
          load: (index) => read(files[index]!.name),
          ...(reduced[0] !== undefined && { loadReduced: (index) => read(reduced[index]!) }),
        },
        options,
      );
      return {};
    }
    case 'batch': {
      const batch = await (source ?? internal('a batch of data that was not opened')).batch(...request.args);
      return { result: batch, transfer: buffersOf(batch) };
    }
    case 'prepare':
      return { result: await prepareImage(...request.args) };
  }
}

function buffersOf({ lr, hr, usm }: Batch): ArrayBuffer[] {
  return [lr.buffer, hr.buffer, ...(usm ? [usm.buffer] : [])];
}

async function handle(request: Request): Promise<void> {
  const { id } = request;
  const reply = (message: Reply, transfer: readonly ArrayBuffer[] = []) =>
    parentPort?.postMessage(message, transfer);
  try {
    const { result, transfer } = await answer(request);
    reply({ id, result }, transfer);
  } catch (error) {
    // A class does not survive the trip; the diagnostics do.
    reply(error instanceof UserError ? { id, diagnostics: error.diagnostics } : { id, error });
  }
}

// One at a time: the first of several batches would otherwise be ready no sooner than the last.
let last = Promise.resolve();
parentPort?.on('message', (request: Request) => {
  last = last.then(() => handle(request));
});
