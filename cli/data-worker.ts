// The thread behind data-thread.ts.

import { internal } from '../diagnostics.js';
import type { BatchSource } from '../train/batch.js';
import { batchSource } from '../train/data/batches.js';
import { prepareImage } from './data-prepare.js';
import type { DataCalls } from './data-thread.js';
import { readBytes } from './files.js';
import { decodeImage } from './images/decode.js';
import { serve } from './thread.js';

let source: BatchSource | undefined;

const read = async (path: string) => decodeImage(path, await readBytes(path));

serve<DataCalls>(
  {
    async open(files, options) {
      const reduced = files.map((file) => file.reduced);
      source = batchSource(
        {
          images: files,
          load: (index) => read(files[index]!.name),
          ...(reduced[0] !== undefined && { loadReduced: (index) => read(reduced[index]!) }),
        },
        options,
      );
      return undefined;
    },
    batch: (k) => (source ?? internal('a batch of data that was not opened')).batch(k),
    prepare: prepareImage,
  },
  {
    transferOf: (result) =>
      result && 'lr' in result
        ? [result.lr, result.hr, ...(result.usm ? [result.usm] : [])].map((x) => x.buffer)
        : [],
    inOrder: true,
  },
);
