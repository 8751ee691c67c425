// The thread behind codec.ts.

import { parentPort } from 'node:worker_threads';
import { UserError } from '../diagnostics.js';
import type { Reply, Request } from './codec.js';
import { buffersOf, decode, encode } from './pixels.js';

parentPort?.on('message', async (request: Request) => {
  const { id } = request;
  const reply = (message: Reply, transfer: readonly ArrayBuffer[] = []) =>
    parentPort?.postMessage(message, transfer);
  try {
    if (request.call === 'encode') {
      reply({ id, result: await encode(...request.args) });
    } else {
      const result = await decode(...request.args);
      reply({ id, result }, buffersOf(result));
    }
  } catch (error) {
    // A class does not survive the trip; the diagnostics do.
    reply(error instanceof UserError ? { id, diagnostics: error.diagnostics } : { id, error });
  }
});
