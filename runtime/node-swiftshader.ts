// The software Vulkan of last resort: SwiftShader out of the npm package @sparticuz/chromium (an optional dependency),
// unpacked once into the user's cache folder. Slow, but it needs no driver, no root and no download of its own.

import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { fail } from '../diagnostics.js';
import { cacheFolder, makeFolder } from './node-cache.js';
import type { VulkanDriver } from './node-vulkan.js';

const PACKAGE = join('@sparticuz', 'chromium');
const LIBRARY = 'libvk_swiftshader.so';
const LOADER = 'libvulkan.so.1';
const MANIFEST = 'vk_swiftshader_icd.json';

/** Undefined where the package is not installed, or holds no library for this machine. */
export function packagedSwiftShader(): VulkanDriver | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const archive = findArchive();
  if (!archive) return undefined;
  const folder = join(cacheFolder(), `swiftshader-${archive.version}`);
  if (!existsSync(folder)) unpack(archive.path, folder);
  return {
    name: `SwiftShader (npm ${PACKAGE})`,
    manifest: join(folder, MANIFEST),
    loader: join(folder, LOADER),
  };
}

function findArchive(): { path: string; version: string } | undefined {
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(PACKAGE);
  } catch {
    return undefined; // an optional dependency that was not installed
  }
  const root = entry.slice(0, entry.lastIndexOf(PACKAGE) + PACKAGE.length);
  const path = join(root, 'bin', 'swiftshader.tar.br');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return existsSync(path) ? { path, version } : undefined;
}

/** Into a folder beside `target` that is then renamed, so that a second process never sees half of it. */
function unpack(archive: string, target: string): void {
  const files = readTar(brotliDecompressSync(readFileSync(archive)));
  let folder: string | undefined;
  try {
    makeFolder(dirname(target));
    folder = mkdtempSync(`${target}.`);
    for (const name of [LIBRARY, LOADER, MANIFEST]) {
      const bytes = files.get(name) ?? fail(`${archive}: ${name} is missing`, { help: 'run npm ci again' });
      writeFileSync(join(folder, name), bytes, { mode: 0o755 });
    }
    renameSync(folder, target);
  } catch (error) {
    if (folder) rmSync(folder, { recursive: true, force: true });
    if (existsSync(target)) return; // another process was faster
    if (!(error instanceof Error && 'code' in error)) throw error;
    fail(`cannot unpack SwiftShader: ${error.message}`, {
      help: 'set XDG_CACHE_HOME to a folder that is writable',
    });
  }
}

/** The regular files of a ustar archive by name: 512-byte headers, contents padded to 512. */
export function readTar(bytes: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const text = (from: number, length: number): string =>
    bytes.toString('latin1', from, from + length).replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const kind = text(at + 156, 1);
    if (kind === '0' || kind === '') files.set(text(at, 100), bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
