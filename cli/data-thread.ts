// A thread that works on training pictures, seen from the main one: what it can be asked, and how.

import { Worker } from 'node:worker_threads';
import { type Diagnostic, UserError } from '../diagnostics.js';
import type { Batch } from '../train/batch.js';
import type { BatchOptions } from '../train/data/batches.js';
import type { DataFile } from './data-files.js';
import type { PreparedPart, PrepareJob, PrepareSettings } from './data-prepare.js';

export interface Calls {
  /** Says what later batches are made of. */
  open(files: readonly DataFile[], options: BatchOptions): void;
  batch(k: number): Promise<Batch>;
  prepare(job: PrepareJob, settings: PrepareSettings): Promise<PreparedPart[]>;
}

export type Request = { readonly id: number } & {
  [K in keyof Calls]: { readonly call: K; readonly args: Parameters<Calls[K]> };
}[keyof Calls];

export type Reply = { readonly id: number } & (
  | { readonly result: unknown }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly error: unknown }
);

interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

export class DataThread {
  readonly #worker = new Worker(new URL('./data-worker.js', import.meta.url));
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** Why nothing will be answered any more. */
  #end: unknown;

  constructor() {
    this.#worker.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('result' in reply) waiting?.resolve(reply.result);
      else waiting?.reject('error' in reply ? reply.error : new UserError(reply.diagnostics));
    });
    this.#worker.on('error', (error) => this.#endWith(error));
  }

  /** Calls are answered one after another. */
  ask<K extends keyof Calls>(call: K, ...args: Parameters<Calls[K]>): Promise<Awaited<ReturnType<Calls[K]>>> {
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args });
    });
  }

  /** Whatever is under way is given up. */
  async close(): Promise<void> {
    this.#endWith(new Error('the data thread was closed'));
    await this.#worker.terminate();
  }

  #endWith(error: unknown): void {
    this.#end = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
