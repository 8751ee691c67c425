// lavapipe on CPUs with AVX-512: it computes 512 bits at a time when asked to, 256 otherwise, and wide code is faster
// (a training step of graphs/photo.sr by a quarter). Mesa keeps compiled shaders of both widths under one name, and one
// read back in the other gives wrong results in silence; so each width has a folder of its own. The width is the
// process's, read anew for each instance: where another instance may be alive, nothing is changed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, makeFolder } from './node-cache.js';

const WIDTH = 'LP_NATIVE_VECTOR_WIDTH';
const CACHE = 'MESA_SHADER_CACHE_DIR';
const BITS = 512;

/** What `widenLavapipe` did. The variables stay set: whoever opens Vulkan next in this process finds one width. */
export interface Widened {
  /** Whether an adapter of this name can be used: it is not lavapipe, or has the width. */
  suits(adapter: string): boolean;
  undo(): void;
}

/** Asks for the wider code where the CPU has it and nobody has decided. */
export function widenLavapipe(): Widened | undefined {
  if (process.env[WIDTH] !== undefined || !hasAvx512() || isLoaded()) return undefined;
  const before = process.env[CACHE];
  const cache = join(before ?? cacheFolder(), `mesa-${BITS}`);
  try {
    makeFolder(cache); // Mesa makes the last folder of a path only
  } catch {
    return undefined;
  }
  process.env[WIDTH] = String(BITS);
  process.env[CACHE] = cache;
  return {
    suits: (adapter) => !/llvmpipe/.test(adapter) || adapter.includes(`${BITS}-bits`),
    undo() {
      delete process.env[WIDTH];
      if (before === undefined) delete process.env[CACHE];
      else process.env[CACHE] = before;
    },
  };
}

function hasAvx512(): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  return /^flags\s*:.*\bavx512f\b.*\bavx512vl\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** Whether lavapipe is in this process already. */
function isLoaded(): boolean {
  return readFileSync('/proc/self/maps', 'utf8').includes('libvulkan_lvp');
}
