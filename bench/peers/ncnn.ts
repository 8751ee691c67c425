// realesrgan-ncnn-vulkan, a program that reads and writes files and pads every tile by 10 pixels. What one image takes
// without start, shaders and weights is what more images take more: (time of 1 + k files - time of 1 file) / k.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { decodeImage, toPlanes } from '../../node.js';
import { DOWNLOADS } from '../machine.js';
import { Missing, type OpenPeer } from '../peer.js';
import { lastWords, peakOf } from './processes.js';

const NAME = 'realesrgan-ncnn-vulkan';
/** What the package that `npm run bench:setup` unpacks calls it. */
const PACKAGED: Readonly<Record<string, string>> = {
  'linux x64': NAME,
  'linux arm64': `${NAME}-arm`,
  'darwin x64': `${NAME}.app`,
  'darwin arm64': `${NAME}.app`,
  'win32 x64': `${NAME}.exe`,
};

export const open: OpenPeer = async (job) => {
  if (job.kind !== 'inference') throw new Error(`${NAME} only runs networks`);
  const { ncnn, files } = job;
  if (!ncnn) throw new Missing('it does not bring this network along (--models)', 'job');
  const program = findProgram();
  const folder = mkdtempSync(join(dirname(files.one), 'ncnn-'));
  const [one, many] = [join(folder, 'one.png'), join(folder, 'many')];
  mkdirSync(many);
  let peak = 0;
  const enlarge = async (input: string, output: string) => {
    const began = performance.now();
    const options = ['-i', input, '-o', output, '-m', ncnn.folder, '-n', ncnn.name, '-s', '4', '-j', '1:1:1'];
    peak = Math.max(peak, await runProgram(program, options));
    return performance.now() - began;
  };
  return {
    version: NAME,
    async run() {
      const endToEnd = await enlarge(files.one, one);
      return { ms: ((await enlarge(files.many, many)) - endToEnd) / files.more, endToEnd };
    },
    output: async () => toPlanes(await decodeImage(one, await readFile(one))).rgb.data,
    peakMemory: () => peak,
  };
};

function findProgram(): string {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, NAME));
  const packaged = PACKAGED[`${process.platform} ${process.arch}`];
  const places = [...onPath, ...(packaged ? [join(DOWNLOADS, packaged)] : [])];
  const found = places.find(existsSync);
  if (found) return found;
  throw new Missing(`there is no ${NAME} on the PATH: npm run bench:setup`);
}

/** Gives the most memory that it had, in bytes, where the system tells. */
function runProgram(program: string, options: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'] });
    const said = lastWords(child.stderr);
    let peak = 0;
    const timer = setInterval(() => {
      peak = Math.max(peak, peakOf(child));
    }, 50);
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      if (code === 0) resolve(peak);
      else reject(new Error(`it ended with code ${code}: ${said()}`));
    });
  });
}
