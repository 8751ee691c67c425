// The width of lavapipe is asked for where that is safe, and nowhere else.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { widenLavapipe } from '../../runtime/node-lavapipe.js';

const isWide = process.platform === 'linux' && readFileSync('/proc/cpuinfo', 'utf8').includes('avx512vl');
if (!isWide) console.warn('\nNO AVX-512: tests of lavapipe at 512 bits are SKIPPED.\n');

describe.skipIf(!isWide)('widenLavapipe', () => {
  let cache = '';
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'src-lavapipe-'));
    vi.stubEnv('LP_NATIVE_VECTOR_WIDTH', undefined);
    vi.stubEnv('MESA_SHADER_CACHE_DIR', undefined);
    vi.stubEnv('XDG_CACHE_HOME', cache);
  });
  afterEach(() => vi.unstubAllEnvs());
  const variables = () => [process.env.LP_NATIVE_VECTOR_WIDTH, process.env.MESA_SHADER_CACHE_DIR];

  test('a width has a folder of its own, and can be taken back', () => {
    const widened = widenLavapipe();
    expect(variables()).toEqual(['512', join(cache, 'src', 'mesa-512')]);
    expect(widened?.suits('llvmpipe-llvm-15-0-6-512-bits')).toBe(true);
    expect(widened?.suits('llvmpipe-llvm-15-0-6-256-bits')).toBe(false);
    expect(widened?.suits('NVIDIA H100')).toBe(true);
    widened?.undo();
    expect(variables()).toEqual([undefined, undefined]);
  });

  test("within the user's folder where there is one", () => {
    vi.stubEnv('MESA_SHADER_CACHE_DIR', join(cache, 'mine'));
    widenLavapipe()?.undo();
    expect(variables()).toEqual([undefined, join(cache, 'mine')]);
  });

  test('the width that a user decided has a folder of its own too', () => {
    vi.stubEnv('LP_NATIVE_VECTOR_WIDTH', '128');
    const widened = widenLavapipe();
    expect(variables()).toEqual(['128', join(cache, 'src', 'mesa-128')]);
    widened?.undo();
    expect(variables()).toEqual(['128', undefined]);
  });

  test('what the user decided stays', () => {
    vi.stubEnv('LP_NATIVE_VECTOR_WIDTH', '512');
    vi.stubEnv('MESA_SHADER_CACHE_DIR', cache);
    expect(widenLavapipe()).toBeUndefined();
    expect(variables()).toEqual(['512', cache]);
    vi.stubEnv('MESA_SHADER_CACHE_DIR', undefined);
    vi.stubEnv('LP_NATIVE_VECTOR_WIDTH', '256');
    expect(widenLavapipe()).toBeUndefined();
    expect(variables()).toEqual(['256', undefined]);
  });

  test('without a folder nothing is changed', () => {
    const file = join(cache, 'file');
    writeFileSync(file, '');
    for (const folder of [file, '/proc/nowhere']) {
      vi.stubEnv('XDG_CACHE_HOME', folder);
      expect(widenLavapipe()).toBeUndefined();
      expect(variables()).toEqual([undefined, undefined]);
    }
  });

  test('an instance that runs keeps its width', async () => {
    const { device } = await import('../device.js');
    if (!device?.adapterInfo.device.includes('llvmpipe')) return;
    expect(widenLavapipe()).toBeUndefined();
    expect(variables()).toEqual([undefined, undefined]);
  });
});
