// A system under measurement as the parent sees it: a process that is opened, told to work, and killed. Everything that
// may go wrong with it is an answer, because the others go on.

import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Exactness } from './accuracy.js';
import type { DeviceName, Job, Missing, PeerOptions, Rep } from './peer.js';

export interface SystemSpec {
  /** As a table names it. */
  readonly name: string;
  /** The module in peers/. */
  readonly peer: string;
  readonly options: PeerOptions;
  /** What its outputs are judged by. */
  readonly claims: Exactness;
  /** Without the device whose ceiling is measured. */
  readonly onCpu?: true;
}

export type Call =
  | { readonly do: 'open'; readonly job: Job; readonly options: PeerOptions }
  | { readonly do: 'run' | 'output' | 'memory' };

export type Answer =
  | { readonly value: unknown }
  | { readonly error: string; readonly missing: Missing['what'] | undefined };

export interface Opened {
  readonly version?: string;
  readonly device?: DeviceName;
}

/** Why a system is not measured. */
export class Dropped extends Error {
  constructor(
    message: string,
    /** What is not there; else it failed. */
    readonly missing?: Missing['what'],
  ) {
    super(message);
  }
}

export interface System {
  readonly opened: Opened;
  run(): Promise<Rep>;
  output(): Promise<Float32Array>;
  peakMemory(): Promise<number>;
  kill(): void;
}

/** Characters of what a process said last, for when it ends. */
const LAST_WORDS = 2000;

/** `seconds`: what any call may take. */
export async function openSystem(spec: SystemSpec, job: Job, seconds: number): Promise<System> {
  const child = fork(join(import.meta.dirname, 'worker.js'), [spec.peer], {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true, // with whatever it starts, a group of processes that ends together
  });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (text) => {
      said = `${said}${text}`.slice(-LAST_WORDS);
    });
  }
  const call = (what: Call) => callChild(child, what, seconds, () => said);
  try {
    const opened = (await call({ do: 'open', job, options: spec.options })) as Opened;
    return {
      opened,
      run: async () => (await call({ do: 'run' })) as Rep,
      output: async () => (await call({ do: 'output' })) as Float32Array,
      peakMemory: async () => (await call({ do: 'memory' })) as number,
      kill: () => kill(child),
    };
  } catch (error) {
    kill(child);
    throw error;
  }
}

function callChild(
  child: ChildProcess,
  call: Call,
  seconds: number,
  lastWords: () => string,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      end();
    };
    const drop = (message: string, missing?: Missing['what']) =>
      settle(() => reject(new Dropped(message, missing)));
    const onMessage = (answer: unknown) => {
      const given = answer as Answer;
      if ('error' in given) drop(firstLine(given.error), given.missing);
      else settle(() => resolve(given.value));
    };
    const onExit = (code: number | null, signal: string | null) =>
      drop(`its process ended with ${signal ?? `code ${code}`}: ${lastLine(lastWords())}`);
    const timer = setTimeout(() => {
      kill(child);
      drop(`stopped: it took more than ${seconds} s (--limit)`);
    }, seconds * 1000);
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(call, (error) => error && drop(error.message));
  });
}

/** It, and what it has started. */
function kill({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function firstLine(text: string): string {
  return text.split('\n')[0]!;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
