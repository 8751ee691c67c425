// Finding a device in Node, down to SwiftShader from npm on a machine without any Vulkan driver.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { targetOf } from '../../runtime/device.js';
import { open } from '../../runtime/executor.js';
import { openDevice } from '../../runtime/node.js';
import { diagnose } from '../../runtime/node-doctor.js';
import { readTar } from '../../runtime/node-swiftshader.js';
import { installedDrivers, libraryOf } from '../../runtime/node-vulkan.js';
import { photo, reference, toyPlan, toyWeights } from './plans.js';

const folder = mkdtempSync(join(tmpdir(), 'src-node-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

/** No driver in any of the folders that the loader searches, as on a bare machine. */
function hideDrivers(): void {
  for (const name of ['XDG_DATA_DIRS', 'XDG_DATA_HOME', 'XDG_CONFIG_DIRS', 'XDG_CONFIG_HOME']) {
    vi.stubEnv(name, join(folder, 'none'));
  }
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']) vi.stubEnv(name, undefined);
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('without a Vulkan driver', () => {
  test('SwiftShader from npm runs a network', async () => {
    hideDrivers();
    expect(installedDrivers()).toEqual([]);
    const device = await openDevice();
    expect(device.summary).toMatch(/^SwiftShader \(npm .*\), software Vulkan and slow: for a faster one, /);
    expect(device.description.kind).toBe('software');
    expect(targetOf(device.gpu)).toMatchObject({ software: true, shaderF16: false });
    expect(process.env.VK_ICD_FILENAMES).toBeUndefined();

    const plan = toyPlan();
    const image = photo(6, 5);
    const network = await open(device.gpu, plan, toyWeights(plan), { tile: 3 });
    const { data } = await network.run(image);
    for (const [i, value] of reference(image, plan).entries())
      expect(Math.abs(data[i]! - value)).toBeLessThan(1e-6);
    await network.close();
    await device.close();

    const unpacked = readdirSync(join(folder, 'cache/src')).find((name) => name.startsWith('swiftshader'));
    expect(readdirSync(join(folder, 'cache', 'src', unpacked!)).sort()).toEqual([
      'libvk_swiftshader.so',
      'libvulkan.so.1',
      'vk_swiftshader_icd.json',
    ]);
  });

  test('the doctor says what is slow and how to fix it', async () => {
    hideDrivers();
    const { device, findings, vulkan } = await diagnose();
    expect(device?.kind).toBe('software');
    expect(vulkan?.drivers).toEqual([]);
    const slow = findings.find(({ problem }) => problem.includes('SwiftShader'));
    expect(slow?.fix).toMatch(/install|run/);
    expect(findings.map(({ problem }) => problem).join()).toContain('--precision f16');
  });

  test('an unwritable cache folder is said', async () => {
    hideDrivers();
    vi.stubEnv('XDG_CACHE_HOME', '/dev/null');
    await expect(openDevice()).rejects.toThrow('cannot unpack SwiftShader: ');
  });
});

test('a device is chosen by kind or by a part of its name', async () => {
  const auto = await openDevice();
  const { name, kind } = auto.description;
  await auto.close();
  for (const device of [kind, name.slice(0, 5).toUpperCase()]) {
    const opened = await openDevice({ device });
    expect(opened.description.name).toBe(name);
    await opened.close();
  }
  await expect(openDevice({ device: 'no such adapter' })).rejects.toThrow('no device "no such adapter"');
});

test('manifests name their library relative to themselves', () => {
  const manifest = join(folder, 'icd.json');
  writeFileSync(manifest, JSON.stringify({ ICD: { library_path: './libfake.so' } }));
  expect(libraryOf(manifest)).toBe(join(folder, 'libfake.so'));
  writeFileSync(manifest, '{');
  expect(libraryOf(manifest)).toBeUndefined();
  vi.stubEnv('VK_DRIVER_FILES', `${manifest}:${join(folder, 'gone.json')}`);
  expect(installedDrivers()).toEqual([{ name: 'icd', manifest }]);
});

test('tar: regular files by name', () => {
  const entry = (name: string, kind: string, text: string): Buffer => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(text.length.toString(8).padStart(11, '0'), 124);
    header.write(kind, 156);
    const body = Buffer.alloc(Math.ceil(text.length / 512) * 512);
    body.write(text);
    return Buffer.concat([header, body]);
  };
  const long = 'x'.repeat(700);
  const files = readTar(
    Buffer.concat([
      entry('folder/', '5', ''),
      entry('a', '0', 'one'),
      entry('b', '0', long),
      Buffer.alloc(1024),
    ]),
  );
  expect([...files].map(([name, bytes]) => [name, bytes.toString()])).toEqual([
    ['a', 'one'],
    ['b', long],
  ]);
});
