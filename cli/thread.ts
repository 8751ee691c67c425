// Calls into a worker thread and their answers, seen from both sides. A mistake of the user's stays one on the way: a
// class does not survive the trip, its diagnostics do.

import { parentPort, Worker } from 'node:worker_threads';
import { type Diagnostic, UserError } from '../diagnostics.js';

type Call = (...args: never[]) => unknown;

type Request<A extends Record<string, Call>> = { readonly id: number } & {
  [K in keyof A]: { readonly call: K; readonly args: Parameters<A[K]> };
}[keyof A];

type Reply = { readonly id: number } & (
  | { readonly result: unknown }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly error: unknown }
);

interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** A worker that answers the calls `A`: `serve` in its file. */
export class Thread<A extends Record<string, Call>> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** Why nothing will be answered any more. */
  #end: unknown;

  constructor(file: URL) {
    this.#worker = new Worker(file);
    this.#worker.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('result' in reply) waiting?.resolve(reply.result);
      else waiting?.reject('error' in reply ? reply.error : new UserError(reply.diagnostics));
    });
    this.#worker.on('error', (error) => this.#endWith(error));
  }

  /** `transfer` is taken away from this thread. */
  ask<K extends keyof A>(
    call: K,
    args: Parameters<A[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Awaited<ReturnType<A[K]>>> {
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args } satisfies Request<A>, transfer);
    });
  }

  /** Whatever is under way is given up. */
  async close(): Promise<void> {
    this.#endWith(new Error('the thread was closed'));
    await this.#worker.terminate();
  }

  #endWith(error: unknown): void {
    this.#end = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Answers of a worker. */
type Answers<A extends Record<string, Call>> = {
  readonly [K in keyof A]: (...args: Parameters<A[K]>) => Promise<Awaited<ReturnType<A[K]>>>;
};

interface Serving<A extends Record<string, Call>> {
  /** What of a result is moved rather than copied. */
  transferOf(result: Awaited<ReturnType<A[keyof A]>>): readonly ArrayBuffer[];
  /** One call after another: the first of several would otherwise be answered no sooner than the last. */
  readonly inOrder: boolean;
}

/** Makes this worker answer. */
export function serve<A extends Record<string, Call>>(
  answers: Answers<A>,
  { transferOf, inOrder }: Serving<A>,
): void {
  const answer = async ({ id, call, args }: Request<A>) => {
    const reply = (message: Reply, transfer: readonly ArrayBuffer[] = []) =>
      parentPort?.postMessage(message, transfer);
    try {
      const result = await answers[call](...args);
      reply({ id, result }, transferOf(result));
    } catch (error) {
      reply(error instanceof UserError ? { id, diagnostics: error.diagnostics } : { id, error });
    }
  };
  let last = Promise.resolve();
  parentPort?.on('message', (request: Request<A>) => {
    last = inOrder ? last.then(() => answer(request)) : answer(request);
  });
}
