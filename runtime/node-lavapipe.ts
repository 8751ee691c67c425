// lavapipe on CPUs with AVX-512: it computes 512 bits at a time when asked to, 256 otherwise, and wide code is faster
// (a training step of graphs/photo.sr by a quarter). Mesa keeps compiled shaders of both widths under one name, and one
// read back in the other gives wrong results in silence; so each width has a folder of its own. The width is the
// process's, read anew for each instance: where another instance may be alive, nothing is changed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, makeFolder } from './node-cache.js';

const WIDTH = 'LP_NATIVE_VECTOR_WIDTH';
const CACHE = 'MESA_SHADER_CACHE_DIR';
/** What Mesa does unasked, on every CPU that has as much. */
const USUAL = '256';
const WIDE = '512';

/** What `widenLavapipe` did. The variables stay set: whoever opens Vulkan next in this process finds one width. */
export interface Widened {
  /** Whether an adapter of this name can be used: it is not lavapipe, or has the width. */
  suits(adapter: string): boolean;
  undo(): void;
}

/** Asks for the wider code where the CPU has it, unless the user has decided. */
export function widenLavapipe(): Widened | undefined {
  if (process.platform !== 'linux') return undefined;
  const [width, cache] = [process.env[WIDTH], process.env[CACHE]];
  const bits = width ?? (hasAvx512() ? WIDE : USUAL);
  const isDecided = width !== undefined && cache !== undefined;
  if (bits === USUAL || isDecided || isLoaded()) return undefined;
  const folder = join(cache ?? cacheFolder(), `mesa-${bits}`);
  try {
    makeFolder(folder); // Mesa makes the last folder of a path only
  } catch {
    return undefined;
  }
  process.env[WIDTH] = bits;
  process.env[CACHE] = folder;
  return {
    suits: (adapter) => !/llvmpipe/.test(adapter) || adapter.includes(`${bits}-bits`),
    undo() {
      restore(WIDTH, width);
      restore(CACHE, cache);
    },
  };
}

function restore(variable: string, value: string | undefined): void {
  if (value === undefined) delete process.env[variable];
  else process.env[variable] = value;
}

function hasAvx512(): boolean {
  return /^flags\s*:.*\bavx512f\b.*\bavx512vl\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** Whether lavapipe is in this process already. */
function isLoaded(): boolean {
  return readFileSync('/proc/self/maps', 'utf8').includes('libvulkan_lvp');
}
