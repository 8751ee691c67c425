// A file from the web, under its name only when it is complete and has the right SHA-256. What came before an
// interruption is kept beside it (.part) and taken up again where the server can send ranges.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { fail } from '../diagnostics.js';
import { printBytes } from '../runtime/gpu.js';
import { failIo, prepareOutput, statOf } from './files.js';

export interface Download {
  readonly url: string;
  readonly to: string;
  /** Hex digits of the file's SHA-256: all 64, or the first of them. */
  readonly sha256: string;
  readonly signal: AbortSignal;
  /** `total` is undefined where the server does not say. */
  onProgress(bytes: number, total: number | undefined): void;
}

const AGAIN = 'the same command goes on from there';

export async function download(wanted: Download): Promise<void> {
  const { url, to, sha256 } = wanted;
  const part = `${to}.part`;
  await prepareOutput(part);
  const before = createHash('sha256');
  const kept = await digest(part, before);
  // All of it may be there already, when what ended the last attempt came between download and renaming.
  const hash = kept > 0 && agrees(before.copy(), sha256) ? before : await receive(wanted, part, kept, before);
  if (!agrees(hash.copy(), sha256)) {
    await rm(part, { force: true });
    fail(`${url}: this is not the file that was expected`, {
      notes: [
        `its SHA-256 is ${hash.digest('hex')}`,
        `expected is ${sha256}${sha256.length < 64 ? '…' : ''}`,
      ],
      help:
        kept > 0
          ? 'the same command downloads it from the beginning'
          : 'use another address: --url URL, with --sha256 where its name does not say the hash',
    });
  }
  await rename(part, to).catch((error) => failIo(to, 'written', error));
}

/** Appends to `part`, which holds `kept` bytes, or begins it again; gives the hash of the whole. */
async function receive(wanted: Download, part: string, kept: number, before: Hash): Promise<Hash> {
  const { url, signal, onProgress } = wanted;
  const response = await request(url, kept, signal);
  if (response.status === 416) {
    // The server has no more than is there, and that was not it.
    await response.body?.cancel();
    await rm(part, { force: true });
    return receive(wanted, part, 0, createHash('sha256'));
  }
  if (!response.ok || !response.body) refuse(url, response);
  const resumed = response.status === 206;
  const hash = resumed ? before : createHash('sha256');
  let size = resumed ? kept : 0;
  const length = response.headers.get('content-length');
  const total = length === null ? undefined : size + Number(length);

  const file = await open(part, resumed ? 'a' : 'w').catch((error) => failIo(part, 'written', error));
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { value } = await reader.read().catch((error) => {
        signal.throwIfAborted();
        const of = total === undefined ? '' : ` of ${printBytes(total)}`;
        return fail(`${url}: the connection broke after ${printBytes(size)}${of}`, {
          notes: [reasonOf(error)],
          help: AGAIN,
        });
      });
      if (!value) return hash;
      await file.writeFile(value).catch((error) => failIo(part, 'written', error));
      hash.update(value);
      size += value.length;
      onProgress(size, total);
    }
  } finally {
    await file.close();
  }
}

async function request(url: string, from: number, signal: AbortSignal): Promise<Response> {
  const headers = from > 0 ? { range: `bytes=${from}-` } : {};
  try {
    return await fetch(url, { headers, signal });
  } catch (error) {
    signal.throwIfAborted();
    return fail(`${url}: cannot be reached`, {
      notes: [reasonOf(error)],
      help: 'check the address and the network; behind a proxy, download it in a browser',
    });
  }
}

function refuse(url: string, { status, statusText }: Response): never {
  const gone = status === 404 || status === 410;
  fail(`${url}: the server answers ${status} ${statusText}`.trimEnd(), {
    help: gone ? 'use another address: --url URL' : 'try again later, or use another address: --url URL',
  });
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

/** Feeds a file that may be absent to `hash`; its size. */
async function digest(path: string, hash: Hash): Promise<number> {
  const found = await statOf(path);
  if (!found) return 0;
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return found.size;
}

function agrees(hash: Hash, sha256: string): boolean {
  return hash.digest('hex').startsWith(sha256.toLowerCase());
}
