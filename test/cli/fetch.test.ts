// Downloads against servers of this process: whole, interrupted, resumed, of a server without ranges, wrong, missing;
// then `src fetch vgg19` and where trainings find what it fetched.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { download } from '../../cli/download.js';
import { perceptionWeights } from '../../cli/perception.js';
import { UserError } from '../../diagnostics.js';
import { load } from '../../dsl/index.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import type { WeightTensor } from '../../formats/weights.js';
import { filesIn, src, temporaryFolder } from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const file of filesIn(folder)) rmSync(join(folder, file));
});

/** A server for one test; its address. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const HASH = sha256(CONTENT);

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Behaviour {
  readonly ranges: boolean;
  /** Bytes after which the first answer breaks off. */
  readonly breakAt?: number;
}

/** Serves CONTENT; `asked` collects the Range headers. */
function contentServer({ ranges, breakAt }: Behaviour, asked: (string | undefined)[]): RequestListener {
  return (request, response) => {
    asked.push(request.headers.range);
    const from = ranges ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    if (from >= CONTENT.length) {
      response.writeHead(416).end();
      return;
    }
    const body = CONTENT.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length });
    if (breakAt === undefined || asked.length > 1) response.end(body);
    else response.write(body.subarray(0, breakAt), () => setTimeout(() => request.socket.destroy(), 50));
  };
}

const target = join(folder, 'file');
const receive = (url: string, sha = HASH, signal = new AbortController().signal) =>
  download({ url, to: target, sha256: sha, signal, onProgress: () => {} });

async function errorOf(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((caught: unknown) => caught);
  if (!(error instanceof UserError)) throw new Error(`no user error: ${error}`);
  return error.diagnostics
    .map(({ message, notes = [], help }) => [message, ...notes, help].join('\n'))
    .join();
}

describe('download', () => {
  test('a whole file, checked by the first digits of its hash', async () => {
    const seen: (number | undefined)[] = [];
    const url = await serve(contentServer({ ranges: true }, []));
    await download({
      url,
      to: target,
      sha256: HASH.slice(0, 8).toUpperCase(),
      signal: new AbortController().signal,
      onProgress: (bytes, total) => seen.push(bytes, total),
    });
    expect(readFileSync(target).equals(CONTENT)).toBe(true);
    expect(seen.slice(-2)).toEqual([CONTENT.length, CONTENT.length]);
    expect(filesIn(folder)).toEqual(['file']);
  });

  test.each([true, false])('interrupted and taken up again, ranges: %s', async (ranges) => {
    const asked: (string | undefined)[] = [];
    const url = await serve(contentServer({ ranges, breakAt: 100_000 }, asked));
    const message = await errorOf(receive(url));
    expect(message).toContain('the connection broke after 98 KiB of 293 KiB');
    expect(message).toContain('the same command goes on from there');
    expect(filesIn(folder)).toEqual(['file.part']);

    await receive(url);
    expect(asked).toEqual([undefined, 'bytes=100000-']);
    expect(readFileSync(target).equals(CONTENT)).toBe(true);
    expect(filesIn(folder)).toEqual(['file']);
  });

  test('what was complete but not yet renamed is not asked for again', async () => {
    writeFileSync(`${target}.part`, CONTENT);
    await receive(`http://127.0.0.1:${await freePort()}/`);
    expect(readFileSync(target).equals(CONTENT)).toBe(true);
  });

  test('a part that is longer than the file is begun again', async () => {
    writeFileSync(`${target}.part`, Buffer.concat([CONTENT, CONTENT]));
    const asked: (string | undefined)[] = [];
    await receive(await serve(contentServer({ ranges: true }, asked)));
    expect(asked).toEqual([`bytes=${2 * CONTENT.length}-`, undefined]);
    expect(readFileSync(target).equals(CONTENT)).toBe(true);
  });

  test('another content is refused and thrown away', async () => {
    const url = await serve(contentServer({ ranges: true }, []));
    const message = await errorOf(receive(url, '0123456789abcdef'));
    expect(message).toContain('this is not the file that was expected');
    expect(message).toContain(`its SHA-256 is ${HASH}\nexpected is 0123456789abcdef…`);
    expect(filesIn(folder)).toEqual([]);
  });

  test('a damaged part is thrown away; then it works', async () => {
    writeFileSync(`${target}.part`, 'damaged');
    const url = await serve(contentServer({ ranges: true }, []));
    expect(await errorOf(receive(url))).toContain('the same command downloads it from the beginning');
    await receive(url);
    expect(readFileSync(target).equals(CONTENT)).toBe(true);
  });

  test('an interruption keeps what has come', async () => {
    const controller = new AbortController();
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 5000), () => setTimeout(() => controller.abort(), 50));
    });
    await expect(receive(url, HASH, controller.signal)).rejects.toThrow(/abort/);
    expect(readFileSync(`${target}.part`)).toEqual(CONTENT.subarray(0, 5000));
  });

  test('a server that says no', async () => {
    const url = await serve((_, response) => response.writeHead(404).end('nothing here'));
    expect(await errorOf(receive(url))).toMatch(/the server answers 404 Not Found\nuse another address/);
    expect(filesIn(folder)).toEqual([]);
  });

  test('no server', async () => {
    const port = await freePort();
    const message = await errorOf(receive(`http://127.0.0.1:${port}/vgg.pth`));
    expect(message).toMatch(/\/vgg.pth: cannot be reached\n.*ECONNREFUSED/);
  });
});

describe('src fetch', () => {
  const cached = join(folder, 'src/vgg19.safetensors');
  const previous = process.env.XDG_CACHE_HOME;
  beforeAll(() => {
    process.env.XDG_CACHE_HOME = folder;
  });
  afterAll(() => {
    if (previous === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = previous;
  });

  const PROGRAM = load({
    name: join(folder, 'mine.sr'),
    text: `generator g : (3, h, w) -> (3, h, w) { conv(3) }
perception vgg = vgg19("beside.safetensors")
`,
  });

  test('VGG19 under torchvision’s names, of which the features are kept and found', async () => {
    const bytes = torchvision();
    const url = await serve((_, response) => response.end(bytes));
    const { code, err } = await src(['fetch', 'vgg19', '--url', url, '--sha256', sha256(bytes)]);
    expect(err).toContain(`${cached}: the features of VGG19, 76.4 MiB\n`);
    expect(code).toBe(0);
    expect(filesIn(folder)).toEqual(['src/vgg19.safetensors']);
    const again = await src(['fetch', 'vgg19']);
    expect(again).toEqual({ code: 0, out: '', err: `${cached}: already there\n` });

    const weights = await perceptionWeights(PROGRAM, ['vgg']);
    expect(weights.size).toBe(32);
    expect(weights.get('vgg.conv1_1.weight')?.slice(0, 2)).toEqual(Float32Array.of(0, 0));
    expect(weights.get('vgg.conv5_4.bias')?.[511]).toBe(15);
    expect((await perceptionWeights(PROGRAM, ['critic'])).size).toBe(0);
  });

  test('what is not VGG19 is not kept', async () => {
    const tensors = new Map<string, WeightTensor>([
      ['features.0.weight', { shape: [1], dtype: 'f32', data: new Float32Array(1) }],
    ]);
    const bytes = writeSafetensors(tensors);
    const url = await serve((_, response) => response.end(bytes));
    const name = `${url}/vgg19-${sha256(bytes).slice(0, 8)}.pth?download=1`;
    const { code, err } = await src(['fetch', 'vgg19', '--url', name]);
    expect(code).toBe(2);
    expect(err).toContain('does not fit the graph');
    expect(filesIn(folder)).toEqual([]);
  });

  test.each([
    [['vgg18'], 'vgg18: there is nothing of that name to fetch'],
    [['vgg19', '--url', 'vgg19.pth'], '--url vgg19.pth: this is not an address'],
    [['vgg19', '--url', 'http://a/vgg19.pth'], 'its name does not say its SHA-256'],
    [['vgg19', '--sha256', '12'], '--sha256 12: this is not a SHA-256'],
  ])('%j', async (argv, message) => {
    const { code, err } = await src(['fetch', ...argv]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test('without weights, the message says where to get them', async () => {
    const message = await errorOf(perceptionWeights(PROGRAM, ['vgg']));
    expect(message).toContain('the weights of `vgg` are not on this machine');
    expect(message).toContain(`looked for ${join(folder, 'beside.safetensors')} and ${cached}`);
    expect(message).toContain('https://download.pytorch.org/models/vgg19-dcbb9e9d.pth');
    expect(message).toContain('`src fetch vgg19`');
  });

  test('a file that is named must be there', async () => {
    const missing = join(folder, 'missing.pth');
    expect(await errorOf(perceptionWeights(PROGRAM, ['vgg'], missing))).toContain(
      `${missing}: cannot be read`,
    );
    expect(existsSync(cached)).toBe(false);
  });
});

/** The convolutions of torchvision's VGG19; each bias is the layer's number. */
function torchvision(): Uint8Array {
  const layers = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512];
  const tensors = new Map<string, WeightTensor>();
  let [inputs, index, convs] = [3, 0, 0];
  for (const outputs of layers) {
    if (outputs === 0) {
      index++;
      continue;
    }
    const shape = [outputs, inputs, 3, 3];
    tensors.set(`features.${index}.weight`, {
      shape,
      dtype: 'f32',
      data: new Float32Array(outputs * inputs * 9),
    });
    tensors.set(`features.${index}.bias`, {
      shape: [outputs],
      dtype: 'f32',
      data: new Float32Array(outputs).fill(convs),
    });
    [inputs, index, convs] = [outputs, index + 2, convs + 1];
  }
  tensors.set('classifier.0.weight', { shape: [2, 2], dtype: 'f32', data: new Float32Array(4) });
  return writeSafetensors(tensors);
}
