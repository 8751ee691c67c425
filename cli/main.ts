#!/usr/bin/env node
// The process around a command: its streams, signals and exit code.

import { constants } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { removeTemporaries } from './files.js';
import { write } from './io.js';
import { main } from './program.js';

/** After this the process ends, whatever the command still does, unless it asked for patience. */
const GRACE_MS = 2000;

const interrupt = new AbortController();
let received: NodeJS.Signals | undefined;
let patient = false;
const exitCode = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (received) process.exit(exitCode(signal));
    received = signal;
    interrupt.abort();
    if (!patient) setTimeout(() => process.exit(exitCode(signal)), GRACE_MS).unref();
  });
}
process.on('exit', removeTemporaries);
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read our output has left, as `head` does: end as quietly as SIGPIPE would.
    if (error.code === 'EPIPE') process.exit(exitCode('SIGPIPE'));
    throw error;
  });
}

// What it compiles runs a few thousand times at most: optimizing that takes a third of the CPU and never pays, not even
// for a thousand convolutions.
if (process.argv[2] === 'compile') setFlagsFromString('--no-opt');

const { stdin, stdout, stderr } = process;
const code = await main(process.argv.slice(2), {
  stdin,
  stdout,
  stderr,
  signal: interrupt.signal,
  patient() {
    patient = true;
  },
});
await write(stdout, '');
process.exit(received ? exitCode(received) : code);
