// The codec's thread, seen from the main one. Unpacking the next image and packing the previous one take as long as a
// network on a good GPU; here they would stall its queue, and Ctrl-C.

import { Worker } from 'node:worker_threads';
import { type Diagnostic, UserError } from '../diagnostics.js';
import { buffersOf, type Decoded, type decode, type Encoded, type encode, type Target } from './pixels.js';

export type Request = { readonly id: number } & (
  | { readonly call: 'decode'; readonly args: Parameters<typeof decode> }
  | { readonly call: 'encode'; readonly args: Parameters<typeof encode> }
);

export type Reply = { readonly id: number } & (
  | { readonly result: Decoded | Encoded }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly error: unknown }
);

interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

export class Codec {
  readonly #worker = new Worker(new URL('./codec-worker.js', import.meta.url));
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor() {
    this.#worker.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('result' in reply) waiting?.resolve(reply.result);
      else waiting?.reject('error' in reply ? reply.error : new UserError(reply.diagnostics));
    });
    this.#worker.on('error', (error) => this.#rejectAll(error));
  }

  decode(name: string, bytes: Uint8Array, target: Target): Promise<Decoded> {
    return this.#ask((id) => ({ id, call: 'decode', args: [name, bytes, target] }));
  }

  /** Takes the planes away from this thread. */
  encode(decoded: Decoded, target: Target): Promise<Encoded> {
    return this.#ask((id) => ({ id, call: 'encode', args: [decoded, target] }), buffersOf(decoded));
  }

  /** Whatever is under way is given up. */
  async close(): Promise<void> {
    await this.#worker.terminate();
    this.#rejectAll(new Error('the codec was closed'));
  }

  #ask<T>(request: (id: number) => Request, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    const id = this.#calls++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage(request(id), transfer);
    });
  }

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
