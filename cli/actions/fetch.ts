// `src fetch`: weights that trainings need and that are published elsewhere, into the cache.

import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fail } from '../../diagnostics.js';
import { printBytes } from '../../runtime/gpu.js';
import { download } from '../download.js';
import { statOf } from '../files.js';
import { type Io, write } from '../io.js';
import { saveVgg19, vgg19InCache } from '../perception.js';
import { statusLine } from '../status-line.js';
import { loadWeights } from '../weights.js';

export interface FetchOptions {
  readonly url: string;
  readonly sha256?: string;
}

export async function fetchWeights(
  io: Io,
  name: string,
  { url, sha256: given }: FetchOptions,
): Promise<void> {
  if (name !== 'vgg19') fail(`${name}: there is nothing of that name to fetch`, { help: 'it fetches vgg19' });
  if (!URL.canParse(url)) fail(`--url ${url}: this is not an address`, { help: 'it begins with https://' });
  if (given !== undefined && !/^[0-9a-f]{64}$/i.test(given)) {
    fail(`--sha256 ${given}: this is not a SHA-256`, { help: 'it has 64 digits, 0 to 9 and a to f' });
  }
  const sha256 =
    given ??
    hashIn(url) ??
    fail(`--url ${url}: its name does not say its SHA-256`, { help: 'add --sha256 HEX' });
  const target = vgg19InCache();
  if (await statOf(target)) return write(io.stderr, `${target}: already there\n`);

  // Under the name of its content, so that what is left of one download is not taken up by another.
  const received = join(dirname(target), `vgg19-${sha256.slice(0, 8).toLowerCase()}.download`);
  const line = statusLine(io.stderr);
  try {
    await download({ url, to: received, sha256, signal: io.signal, onProgress: progress(line.show) });
  } finally {
    line.end();
  }
  try {
    await saveVgg19(await loadWeights(received), target);
  } finally {
    await rm(received);
  }
  await write(io.stderr, `${target}: the features of VGG19, ${printBytes((await statOf(target))!.size)}\n`);
}

/** `…/vgg19-dcbb9e9d.pth` -> `dcbb9e9d` */
function hashIn(url: string): string | undefined {
  return /-([0-9a-f]{8,64})\.\w+$/i.exec(new URL(url).pathname)?.[1];
}

function progress(show: (text: () => string) => void) {
  return (bytes: number, total: number | undefined) =>
    show(() =>
      total === undefined
        ? printBytes(bytes)
        : `${printBytes(bytes)} of ${printBytes(total)}, ${Math.floor((100 * bytes) / total)}%`,
    );
}
