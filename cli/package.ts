// What the package brings along beside code: its version and the networks in graphs/. Its folder is found upwards,
// because the code lies in dist/ when installed and beside graphs/ in tests.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fail, internal, type Source } from '../diagnostics.js';
import { didYouMean } from '../dsl/suggest.js';
import { isRecord } from '../formats/values.js';
import { readText, statOf } from './files.js';

const ROOT = rootAbove(import.meta.dirname);

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  return parent === folder ? internal('package.json is missing') : rootAbove(parent);
}

export function packageVersion(): string {
  const value: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return isRecord(value) ? String(value.version) : internal('package.json is not an object');
}

/** `esrgan`, `srgan`, … */
export function bundledGraphs(): string[] {
  return readdirSync(join(ROOT, 'graphs'))
    .filter((file) => file.endsWith('.sr'))
    .map((file) => file.slice(0, -3))
    .sort();
}

/** The network that `src run` takes when none is named. */
export const DEFAULT_NETWORK = 'photo';

/**
 * The trained weights that come with a bundled network, by style: `graphs/weights/photo-sharp.safetensors` is `sharp`,
 * `graphs/weights/photo.safetensors` is `natural`. None for a file of the user's own, whatever its name.
 */
export function bundledWeights({ name, text }: Source): ReadonlyMap<string, string> {
  const network = bundledName(name);
  const original = join(ROOT, 'graphs', `${network}.sr`);
  const folder = join(ROOT, 'graphs', 'weights');
  if (!existsSync(original) || readFileSync(original, 'utf8') !== text || !existsSync(folder))
    return new Map();
  const styles = readdirSync(folder).flatMap((file): [string, string][] => {
    const [, trained, style = 'natural'] = /^(.+?)(?:-(\w+))?\.safetensors$/.exec(file) ?? [];
    return trained === network ? [[style, join(folder, file)]] : [];
  });
  return new Map(styles.sort());
}

/** The name under which `path` means a bundled network: `esrgan`, `esrgan.sr`, `graphs/esrgan.sr`. */
function bundledName(path: string): string {
  return path.replace(/^(\.\/)?graphs\//, '').replace(/\.sr$/, '');
}

/** The `.sr` file at `path`, or else the bundled one of that name: `esrgan`, `esrgan.sr` or `graphs/esrgan.sr`. */
export async function readGraph(path: string): Promise<Source> {
  const found = await statOf(path);
  if (found && !found.isDirectory()) return readText(path);
  const name = bundledName(path);
  const bundled = bundledGraphs();
  if (bundled.includes(name)) {
    const { text } = await readText(join(ROOT, 'graphs', `${name}.sr`));
    return { name: `graphs/${name}.sr`, text };
  }
  if (found) return readText(path);
  const near = didYouMean(name, bundled);
  return fail(`${path}: there is no such file, and no network of that name comes with this program`, {
    notes: [`networks that come with it: ${bundled.join(', ')}`],
    help: near ? `did you mean \`${near}\`?` : 'check the spelling and the folder you are in',
  });
}
