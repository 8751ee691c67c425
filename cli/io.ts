// What a command sees of the outside, so that tests can run commands in their own process: three streams and the wish
// to stop. Results and `--json` go to stdout, everything for people goes to stderr.

import { addAbortSignal, type Readable, type Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fail } from '../diagnostics.js';

export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Aborted by Ctrl-C; commands that take long stop then. */
  readonly signal: AbortSignal;
  /** From now on an interruption waits for the command's end, however long that takes; only a second one does not. */
  readonly patient?: () => void;
}

export interface Terminal extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Everything that is piped in. `what` should be: "an image". */
export async function readStdin({ stdin, signal }: Io, what: string): Promise<Uint8Array> {
  if (stdin.isTTY) {
    fail(`-: ${what} is expected on standard input, which is a terminal`, {
      help: `pipe ${what} in, or pass a file's name`,
    });
  }
  return buffer(addAbortSignal(signal, stdin));
}

/** Resolves when the stream has taken all of it, so that a slow reader slows us down. */
export function write(stream: Writable, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => (error ? reject(error) : resolve()));
  });
}
