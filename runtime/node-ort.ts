// The door to ONNX Runtime on the CPU in Node: loads the package onnxruntime-node, which users may have installed or not.

import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fail, UserError } from '../diagnostics.js';
import type { Ort } from './ort-executor.js';

const PACKAGE = 'onnxruntime-node';

/**
 * Memory goes back after each call, since tiles of one run differ in size; threads that waited for more work would take
 * the cores from everything else.
 */
const SESSION = {
  executionProviders: ['cpu'],
  enableCpuMemArena: false,
  logSeverityLevel: 3,
  extra: { session: { force_spinning_stop: '1' } },
} as const;

/** Of one core in a second, at least. */
const MACS_OF_A_CORE = 1e10;

/** Whether the package is there; not whether it works on this machine. */
export function isOrtInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve(PACKAGE);
    return true;
  } catch {
    return false;
  }
}

export interface NodeOrt extends Ort {
  /** `1.30.0` */
  readonly version: string;
}

/** What is used of the package, whose own types are not found where imports name files. */
interface Package {
  readonly InferenceSession: { create(model: Uint8Array, options: typeof SESSION): Promise<Session> };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => Tensor;
  readonly env: { logLevel: string; readonly versions: { readonly node: string } };
}

interface Tensor {
  readonly data: Float32Array;
}

interface Session {
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  release(): Promise<void>;
}

export async function loadOrt(): Promise<NodeOrt> {
  const { InferenceSession, Tensor, env } = await importOrt();
  env.logLevel = 'error';
  return {
    version: env.versions.node,
    macs: MACS_OF_A_CORE * availableParallelism(),
    async open(model) {
      const session = await InferenceSession.create(model, SESSION);
      return {
        async run(inputs) {
          const tensors = mapValues(inputs, ({ data, shape }) => new Tensor('float32', data, shape));
          return mapValues(await session.run(tensors), ({ data }) => data);
        },
        close: () => session.release(),
      };
    },
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

async function importOrt(): Promise<Package> {
  if (!isOrtInstalled()) {
    fail('the device cpu needs ONNX Runtime, which is not installed', {
      help: `run \`npm install ${PACKAGE}\``,
    });
  }
  try {
    return await import(PACKAGE);
  } catch (error) {
    throw new UserError({
      message: 'ONNX Runtime cannot be loaded',
      notes: [error instanceof Error ? error.message.split('\n')[0]! : String(error)],
      help: `${PACKAGE} may have no library for this machine: use --device software`,
    });
  }
}
