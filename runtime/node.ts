// The door to WebGPU in Node: finds an adapter through the `webgpu` package (Dawn), falls back to software Vulkan on
// machines without a driver, and closes so that the process can end. Nothing outside cli/ and the node*.ts files
// imports `webgpu` or `node:*`.

import { totalmem } from 'node:os';
import { fail, UserError } from '../diagnostics.js';
import { type Description, describe, requestDevice } from './device.js';
import type { Tuned } from './kernels/conv_family.js';
import { softwareAdvice } from './node-advice.js';
import { widenLavapipe } from './node-lavapipe.js';
import { restWhileWaiting } from './node-rest.js';
import { packagedSwiftShader } from './node-swiftshader.js';
import { readTuning, type Tuning } from './node-tuned.js';
import {
  installedDrivers,
  loadLoader,
  softwareDrivers,
  type VulkanDriver,
  withDriver,
} from './node-vulkan.js';

export interface NodeDevice {
  readonly gpu: GPUDevice;
  readonly description: Description;
  /** Bytes that networks should use at most. */
  readonly memory: number;
  /** One line: what was chosen, and how to get a faster one. */
  readonly summary: string;
  /** What `src tune` measured on it: for `targetFor` and `open`. */
  readonly tuned: Tuned;
  /** Waits for the device's work and frees it. */
  close(): Promise<void>;
}

export interface DeviceOptions {
  /** `auto`, `hardware`, `software`, or a part of an adapter's name. */
  readonly device?: string;
}

/** Instances of Dawn in use: one that is garbage-collected takes its devices, and the process, down with it. */
const instances = new Set<GPU>();

export async function openDevice({ device: wanted = 'auto' }: DeviceOptions = {}): Promise<NodeDevice> {
  const { instance, adapter, description, driver } = await findAdapter(wanted);
  instances.add(instance);
  const gpu = await requestDevice(adapter);
  if (description.kind === 'software') restWhileWaiting(gpu);
  const tuning = await readTuning(description);
  return {
    gpu,
    description,
    memory: description.kind === 'software' ? hostMemory() / 2 : GPU_MEMORY,
    summary: summarize(description, driver) + adviceOn(tuning),
    tuned: tuning.choices,
    async close() {
      await gpu.queue.onSubmittedWorkDone(); // a driver that still works when the process ends crashes it
      gpu.destroy();
      instances.delete(instance);
    },
  };
}

/** WebGPU does not say how much a GPU has; the executor asks for less where this is too much. */
const GPU_MEMORY = 2 ** 32;

/** Of the machine, or of the container. */
export function hostMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

interface Found {
  readonly instance: GPU;
  readonly adapter: GPUAdapter;
  readonly description: Description;
  /** The driver that was chosen for want of the system's. */
  readonly driver?: VulkanDriver;
}

/** The system's own adapter if it is what is wanted, else the fastest software Vulkan that is. */
async function findAdapter(wanted: string): Promise<Found> {
  const others = new Set<string>();
  for (const driver of candidates(wanted)) {
    const request = (): Promise<Found | readonly string[]> => requestAdapter(wanted);
    const answer = await (driver ? withDriver(driver, request) : request());
    if (!('adapter' in answer)) for (const name of answer) others.add(name);
    else if (!isKind(wanted) || wanted === answer.description.kind)
      return { ...answer, ...(driver && { driver }) };
    else others.add(`${answer.description.name} (${answer.description.kind})`);
  }
  if (others.size === 0 && wanted !== 'hardware') {
    fail('no WebGPU device: this machine has no Vulkan driver that works', {
      help: `${softwareAdvice()}; \`src doctor\` says more`,
    });
  }
  return fail(`no device "${wanted}"`, {
    ...(others.size > 0 && { notes: [`there is ${[...others].join(', ')}`] }),
    help: 'use --device auto; `src doctor` says what there is, and why',
  });
}

function isKind(wanted: string): wanted is 'hardware' | 'software' {
  return wanted === 'hardware' || wanted === 'software';
}

/** In order of preference; undefined is what the system offers. One by one, because the last must be unpacked. */
function* candidates(wanted: string): Generator<VulkanDriver | undefined> {
  if (process.platform !== 'linux') {
    yield undefined;
    return;
  }
  if (installedDrivers().length > 0 && loadLoader()) yield undefined;
  if (wanted === 'hardware') return;
  for (const driver of softwareDrivers()) if (loadLoader() || loadLoader(driver.loader)) yield driver;
  const packaged = packagedSwiftShader();
  if (packaged && (loadLoader() || loadLoader(packaged.loader))) yield packaged;
}

/** An adapter, or the names of those that are not called `wanted`. */
async function requestAdapter(wanted: string): Promise<Found | readonly string[]> {
  const widened = widenLavapipe();
  const answer = await askDawn(wanted);
  if (!widened || !('adapter' in answer) || widened.suits(answer.description.name)) return answer;
  widened.undo();
  return askDawn(wanted);
}

async function askDawn(wanted: string): Promise<Found | readonly string[]> {
  const { create } = await importDawn();
  const experiments = process.env.SRC_SUBGROUP_MATRIX === '1' ? ',allow_unsafe_apis' : '';
  const flags = [
    `enable-dawn-features=vulkan_enable_f16_on_nvidia${experiments}`, // the first is ignored elsewhere
    'disable-dawn-features=timestamp_quantization', // against spying web pages; profiles want nanoseconds
  ];
  if (process.platform === 'linux') flags.push('backend=vulkan');
  if (wanted !== 'auto' && !isKind(wanted)) flags.push(`adapter=${wanted}`);
  const instance = create(flags);
  try {
    const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
    return adapter ? { instance, adapter, description: describe(adapter) } : [];
  } catch (error) {
    // Dawn's answer to an unknown name is an error that lists the known ones.
    const names = [...String(error).matchAll(/name: '(.*)'/g)].map(([, name]) => name!);
    const match = names.find((name) => name.toLowerCase().includes(wanted.toLowerCase()));
    return match && match !== wanted ? askDawn(match) : names;
  }
}

/** Late: a Vulkan loader of ours must be in place before it. */
async function importDawn(): Promise<typeof import('webgpu')> {
  try {
    return await import('webgpu');
  } catch (error) {
    throw new UserError({
      message: 'WebGPU cannot be loaded',
      notes: [error instanceof Error ? error.message.split('\n')[0]! : String(error)],
      help: 'run `npm install webgpu`; where it has no library for this machine, --device cpu runs networks',
    });
  }
}

function summarize({ name, kind }: Description, driver: VulkanDriver | undefined): string {
  if (kind === 'hardware') return name;
  if (!driver) return `${name}, software Vulkan: a GPU with its driver is far faster`;
  return driver.loader
    ? `${driver.name}, software Vulkan and slow: for a faster one, ${softwareAdvice()}`
    : `${driver.name}, software Vulkan: a GPU with its driver is far faster`;
}

function adviceOn({ stale }: Tuning): string {
  return stale === undefined ? '' : `; what \`src tune\` measured no longer counts: ${stale}`;
}
