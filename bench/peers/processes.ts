// Other programs as processes: what their memory was, and conversations in lines of JSON.

import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Bytes at most so far. Linux keeps the high water mark of each process; elsewhere 0: unknown. */
export function peakOf({ pid }: ChildProcess): number {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return 0;
  const [, kibibytes = '0'] = /VmHWM:\s*(\d+) kB/.exec(readFileSync(file, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** The end of what a process says, for when it fails. */
export function lastWords(stream: Readable): () => string {
  let said = '';
  stream.on('data', (text) => {
    said = `${said}${text}`.slice(-1000);
  });
  return () => said.trim().split('\n').at(-1) ?? '';
}

/** One question after another, a line each; `undefined` waits for what is said unasked. */
export function converse(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
): (question?: string) => Promise<unknown> {
  const said = lastWords(child.stderr);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', (code) => reject(new Error(`it ended with code ${code}: ${said()}`)));
  });
  ended.catch(() => {}); // told to whoever asks next
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (question) => {
    if (question !== undefined) child.stdin.write(`${question}\n`);
    const { value, done } = await Promise.race([answers.next(), ended]);
    return done ? ended : JSON.parse(value);
  };
}
