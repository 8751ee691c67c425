// The executor on this machine's device: tiled runs give the bits of the untiled one, nothing leaks, nothing hangs.

import { beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { addDim, sym } from '../../runtime/dims.js';
import { type Network, type NetworkOptions, open } from '../../runtime/executor.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import type { Plan, PlanBuffer } from '../../runtime/plan.js';
import { device as found } from '../on-device.js';
import { chainPlan, photo, reference, tailPlan, tensor, toyPlan, toyWeights } from './plans.js';

let device: NodeDevice;
beforeEach(({ skip }) => {
  skip(!found, 'no WebGPU device');
  if (found) device = found;
});

const plan = toyPlan();

interface Setting extends NetworkOptions {
  readonly plan?: Plan;
  readonly gpu?: GPUDevice;
}

async function using<T>(
  { plan: used = plan, gpu = device.gpu, ...options }: Setting,
  use: (network: Network) => Promise<T>,
) {
  const network = await open(gpu, used, toyWeights(used), options);
  try {
    return await use(network);
  } finally {
    await network.close();
  }
}

/** The device, with some members replaced. */
function disguised(members: Readonly<Record<string, unknown>>): GPUDevice {
  return new Proxy(device.gpu, {
    get(target, key) {
      const value = Object.hasOwn(members, key) ? members[String(key)] : Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withBindingLimit(bytes: number): GPUDevice {
  return disguised({ limits: { ...device.description.limits, maxStorageBufferBindingSize: bytes } });
}

test('the untiled result is the reference', async () => {
  const image = photo(9, 7);
  const result = await using({}, (network) => network.run(image));
  const expected = reference(image, plan);
  expect([result.width, result.height, result.data.length]).toEqual([18, 14, expected.length]);
  for (const [i, value] of expected.entries()) expect(Math.abs(result.data[i]! - value)).toBeLessThan(1e-6);
});

describe('tiled is untiled, bit for bit', () => {
  test.each([
    [1, 1, [1]],
    [7, 5, [1, 3]],
    [33, 19, [8, 20]],
    [24, 48, [24]],
  ])('%ix%i', async (width, height, tiles) => {
    const image = photo(width, height);
    const whole = await using({}, (network) => network.run(image));
    for (const tile of tiles) {
      const tiled = await using({ tile }, (network) => network.run(image));
      expect(tiled.data, `tiles of ${tile}`).toEqual(whole.data);
    }
  });

  test('in segments, with stashes in bands, where bindings are small', async () => {
    const image = photo(37, 50);
    const whole = await using({}, (network) => network.run(image));
    const small = await using({ gpu: withBindingLimit(20_000) }, (network) => {
      const { segments, memory, stashes } = network.schedule(image);
      expect(segments.length).toBeGreaterThan(1);
      expect(memory.largestBinding).toBeLessThanOrEqual(20_000);
      expect(Math.max(...stashes.map(({ bands }) => bands.length))).toBeGreaterThan(1);
      return network.run(image);
    });
    expect(small.data).toEqual(whole.data);
  });

  test('in parts, where not even the stashes fit', async () => {
    const deep = tailPlan();
    const image = photo(120, 40);
    const whole = await using({ plan: deep }, (network) => network.run(image));
    const parts = await using({ plan: deep, memory: 220_000 }, (network) => {
      const { parts, segments, memory } = network.schedule(image);
      expect(parts.length).toBeGreaterThan(1);
      expect(segments.length).toBeGreaterThan(1);
      expect(memory.planned + memory.constants).toBeLessThanOrEqual(220_000);
      return network.run(image);
    });
    expect(parts.data).toEqual(whole.data);
  });

  test('with an alignment, the image is mirrored to fit and the result cropped', async () => {
    const aligned = { ...plan, align: 4 };
    const image = photo(10, 7);
    const mirrored = photo(12, 8);
    for (const [i] of mirrored.data.entries()) {
      const [x, y, c] = [i % 12, Math.floor(i / 12) % 8, Math.floor(i / 96)];
      mirrored.data[i] = image.data[(c * 7 + (y < 7 ? y : 12 - y)) * 10 + (x < 10 ? x : 18 - x)]!;
    }
    const [result, padded] = await using({ plan: aligned }, async (network) => [
      await network.run(image),
      await network.run(mirrored),
    ]);
    expect([result!.width, result!.height]).toEqual([20, 14]);
    const cropped = result!.data.map((_, i) => {
      const [x, y, c] = [i % 20, Math.floor(i / 20) % 14, Math.floor(i / 280)];
      return padded!.data[(c * 16 + y) * 24 + x]!;
    });
    expect(result!.data).toEqual(cropped);
  });
});

test('runs queue up, repeat exactly, and sizes may change', async () => {
  await using({}, async (network) => {
    const sizes = [photo(8, 6), photo(5, 9), photo(8, 6), photo(8, 6)];
    const results = await Promise.all(sizes.map((image) => network.run(image)));
    expect(results[2]!.data).toEqual(results[0]!.data);
    expect(results[3]!.data).toEqual(results[0]!.data);
    expect(results[1]!.height).toBe(18);
  });
});

test('an image is sent while the one before it is computed', async () => {
  await using({}, async (network) => {
    const events: string[] = [];
    const [one, two] = [photo(64, 64), photo(64, 64)];
    const watched = {
      ...two,
      get data() {
        events.push('two is read');
        return two.data;
      },
    };
    const first = network.run(one).finally(() => events.push('one is back'));
    const [expected, actual] = await Promise.all([first, network.run(watched)]);
    expect(events.slice(-2)).toEqual(['two is read', 'one is back']);
    expect(actual.data).toEqual(expected.data);
  });
});

test('many images of one size make no further buffers', async () => {
  let live = 0;
  const gpu = disguised({
    createBuffer(descriptor: GPUBufferDescriptor) {
      const buffer = device.gpu.createBuffer(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      live++;
      buffer.destroy = () => {
        live--;
        return destroy();
      };
      return buffer;
    },
  });
  await using({ gpu, tile: 4 }, async (network) => {
    await network.run(photo(9, 9));
    const after = live;
    for (let i = 0; i < 10; i++) await network.run(photo(9, 9));
    expect(live).toBe(after);
    await network.run(photo(12, 9));
    await network.run(photo(9, 9));
    expect(live).toBe(after);
  });
  expect(live).toBe(0);
});

test('progress rises to 1', async () => {
  const seen: number[] = [];
  await using({ tile: 5 }, (network) =>
    network.run(photo(20, 20), { onProgress: (done) => seen.push(done) }),
  );
  expect(seen.length).toBeGreaterThan(3);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBeCloseTo(1, 9);
});

test('an abort ends the run, and the next one is right', async () => {
  await using({ tile: 4 }, async (network) => {
    const image = photo(20, 20);
    const whole = await network.run(image);
    const controller = new AbortController();
    const run = network.run(image, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(run).rejects.toThrow(/abort/i);
    await expect(network.run(image, { signal: controller.signal })).rejects.toThrow(/abort/i);
    expect((await network.run(image)).data).toEqual(whole.data);
  });
});

describe('what goes wrong is said', () => {
  async function errorOf(promise: Promise<unknown>): Promise<UserError> {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(UserError);
    return error as UserError;
  }

  test('weights that are missing or have another shape', async () => {
    const weights = toyWeights(plan);
    weights.delete('w1');
    weights.set('w2', new Float32Array(7));
    const { diagnostics } = await errorOf(open(device.gpu, plan, weights));
    expect(diagnostics[0]!.notes).toEqual(['missing: w1 [4,8,3,3]', 'w2 has 7 values, [4,12,3,3] needs 432']);
  });

  test('an image with other channels', async () => {
    const gray = { width: 4, height: 4, data: new Float32Array(16) };
    const { message } = await errorOf(using({}, (network) => network.run(gray)));
    expect(message).toBe('the image has 1 channels, toy takes 3');
  });

  test('a network of one size', async () => {
    const buffers = plan.buffers.map((buffer): PlanBuffer => ({ ...buffer, dims: [1, 8, 8] }));
    const { message } = await errorOf(
      using({ plan: { ...plan, buffers } }, (network) => network.run(photo(8, 8))),
    );
    expect(message).toMatch(/^toy takes images of one size only/);
  });

  test('an image smaller than what a convolution without padding takes off', async () => {
    const cropped: PlanBuffer = { ...tensor('cropped', 4), dims: [1, addDim(sym('h'), -8), sym('w')] };
    const buffers = [...plan.buffers, cropped];
    const { message } = await errorOf(
      using({ plan: { ...plan, buffers } }, (network) => network.run(photo(9, 7))),
    );
    expect(message).toBe('an image of 9x7 is smaller than the kernels of toy');
  });

  test('a size that cannot fit, with what there is and what would do', async () => {
    const { diagnostics } = await errorOf(using({ memory: 20_000 }, (network) => network.run(photo(64, 64))));
    expect(diagnostics[0]!.message).toBe('64x64 does not fit the device');
    expect(diagnostics[0]!.notes?.join('\n')).toMatch(
      /it needs .* KiB.*\nthere are 20 KiB.*\nwith .* it would fit/,
    );
  });

  test('features that the device does not have', async () => {
    const [kernel] = plan.kernels;
    const exotic = { ...plan, kernels: [{ ...kernel!, features: ['no-such-feature'] }] };
    const { message } = await errorOf(open(device.gpu, exotic, toyWeights(plan)));
    expect(message).toContain('no-such-feature');
  });

  test('WGSL that does not compile is a bug of ours, with the kernel and the line', async () => {
    const broken = { ...plan, kernels: plan.kernels.map((kernel) => ({ ...kernel, wgsl: 'fn main( {' })) };
    await expect(open(device.gpu, broken, toyWeights(plan))).rejects.toThrow(
      /internal: kernel conv: [\s\S]*1:/,
    );
  });

  test('a wrong binding is a bug of ours, with the step and its place', async () => {
    const [first, ...rest] = plan.steps;
    const broken = { ...plan, steps: [{ ...first!, bindings: first!.bindings.slice(1) }, ...rest] };
    const run = using({ plan: broken }, (network) => network.run(photo(4, 4)));
    await expect(run).rejects.toThrow(/internal: [\s\S]*conv 0 \(toy\.sr:1:1\)/);
  });

  test('a device without room is asked for less, then it is an error', async () => {
    const asked: number[] = [];
    let exhausted = false;
    const gpu = disguised({
      createBuffer(descriptor: GPUBufferDescriptor) {
        exhausted ||= descriptor.label === 'slot 0';
        if (descriptor.label === 'uniforms') asked.push(descriptor.size);
        return device.gpu.createBuffer(descriptor);
      },
      async popErrorScope() {
        const error = await device.gpu.popErrorScope();
        if (!exhausted) return error;
        exhausted = false;
        return { message: 'no room' };
      },
    });
    const { message } = await errorOf(using({ gpu, memory: 2 ** 30 }, (network) => network.run(photo(4, 4))));
    expect(message).toMatch(/^the GPU ran out of memory: an image of 4x4 needs \d+ KiB$/);
    expect(asked.length).toBe(4); // 1 GiB, 512, 256 and 128 MiB
  });

  test('a lost device ends what runs and what would', async () => {
    const other = await openDevice();
    const network = await open(other.gpu, plan, toyWeights(plan), { tile: 4 });
    const run = errorOf(network.run(photo(40, 40), { onProgress: () => other.gpu.destroy() }));
    expect((await run).message).toBe('the GPU device was closed while in use');
    await errorOf(network.run(photo(4, 4)));
    await network.close();
  });
});

test('a long chain runs in several submits', async () => {
  const deep = chainPlan(40);
  const image = photo(16, 16);
  const [whole, tiled] = await Promise.all([
    using({ plan: deep }, (network) => network.run(image)),
    using({ plan: deep, tile: 8 }, (network) => network.run(image)),
  ]);
  expect(tiled.data).toEqual(whole.data);
});
