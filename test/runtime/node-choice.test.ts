// Which device networks run on: a GPU where there is one, then ONNX Runtime, then software Vulkan.

import { afterEach, expect, test, vi } from 'vitest';
import type { NodeDevice } from '../../runtime/node.js';
import type { CpuDevice } from '../../runtime/node-choice.js';
import { describeOnDevice } from '../on-device.js';
import { describeWithOrt } from '../on-ort.js';

afterEach(() => {
  vi.doUnmock('node:module');
  vi.doUnmock('onnxruntime-node');
  vi.resetModules();
});

async function choose(device?: string): Promise<NodeDevice | CpuDevice> {
  const { chooseDevice } = await import('../../runtime/node-choice.js');
  const chosen = await chooseDevice(device === undefined ? {} : { device });
  await chosen.close();
  return chosen;
}

/** As where users have not installed the package. */
function hidePackage(): void {
  vi.doMock('node:module', () => ({
    createRequire: () => ({
      resolve: (name: string) => {
        throw new Error(`Cannot find module '${name}'`);
      },
    }),
  }));
}

/** As where it has no library. */
function breakPackage(): void {
  vi.doMock('onnxruntime-node', () => {
    throw new Error("Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'");
  });
}

describeWithOrt('with ONNX Runtime', ({ version }) => {
  test('the CPU is chosen by name', async () => {
    const { description, summary, memory } = await choose('cpu');
    const name = `ONNX Runtime ${version} on the CPU`;
    expect({ description, summary }).toEqual({ description: { name, kind: 'cpu' }, summary: name });
    expect(memory).toBeGreaterThan(2 ** 26);
  });

  describeOnDevice('beside a device', ({ description: { kind, name } }) => {
    test('it is chosen where there is no GPU', async () => {
      const { description, summary } = await choose();
      if (kind === 'hardware') expect(description.name).toBe(name);
      else expect(summary).toBe(`no GPU found: ONNX Runtime ${version} on the CPU`);
    });

    test('a device is chosen by its kind', async () => {
      expect((await choose(kind)).description.name).toBe(name);
    });

    test('a package that does not load is passed over', async () => {
      breakPackage();
      const { description, summary } = await choose();
      expect(description.name).toBe(name);
      if (kind === 'software') expect(summary).toContain('(ONNX Runtime cannot be loaded)');
      await expect(choose('cpu')).rejects.toThrow('ONNX Runtime cannot be loaded');
    });
  });
});

describeOnDevice('without ONNX Runtime', ({ description: { kind, name } }) => {
  test('a device computes, and what is faster is said', async () => {
    hidePackage();
    const { description, summary } = await choose();
    expect(description.name).toBe(name);
    if (kind === 'software') expect(summary).toMatch(/`npm install onnxruntime-node` makes networks .* fast/);
  });

  test('the CPU by name is refused', async () => {
    hidePackage();
    await expect(choose('cpu')).rejects.toThrow('the device cpu needs ONNX Runtime, which is not installed');
  });
});
