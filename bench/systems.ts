// Which systems there are, and what each claims of its arithmetic.

import { availableParallelism } from 'node:os';
import type { SystemSpec } from './system.js';

export const SRC_F32: SystemSpec = spec('src f32', 'src', 'f32', { precision: 'f32' });
const SRC_F16: SystemSpec = spec('src f16', 'src', 'f16', { precision: 'f16' });

/** Everything that other rows are a share of. */
export const CEILING: SystemSpec = spec('ceiling', 'ceiling', 'f32');

/** What outputs are compared with. */
export const REFERENCE: SystemSpec = onCpu('ORT CPU', 'ort-node', { threads: availableParallelism() });

const CUDA = { device: 'cuda' };
const CHANNELS_LAST = { ...CUDA, dtype: 'f16', channels_last: true };

const TORCH_CUDA: readonly SystemSpec[] = [
  spec('PyTorch f32', 'torch', 'f32', CUDA),
  spec('PyTorch TF32', 'torch', 'f16', { ...CUDA, tf32: true }),
  spec('PyTorch f16 channels_last', 'torch', 'f16', CHANNELS_LAST),
  spec('PyTorch f16 channels_last compiled', 'torch', 'f16', { ...CHANNELS_LAST, compile: true }),
];

export const INFERENCE: readonly SystemSpec[] = [
  SRC_F32,
  SRC_F16,
  spec('ncnn-vulkan', 'ncnn', '8 bits'),
  spec('tfjs-webgpu', 'tfjs', 'f32'),
  spec('ORT WebGPU', 'ort-web', 'f32'),
  onCpu('ORT CPU, 1 thread', 'ort-node', { threads: 1 }),
  onCpu('ORT CPU, 2 threads', 'ort-node', { threads: 2 }),
  onCpu('src on the CPU', 'src-cpu', {}),
];

export const TRAINING: readonly SystemSpec[] = [
  SRC_F32,
  SRC_F16,
  spec('tfjs-webgpu', 'tfjs', 'f32'),
  // Its threads wait for each other in turns: on few cores one may be faster.
  onCpu('PyTorch CPU, 1 thread', 'torch', { device: 'cpu', threads: 1 }),
  onCpu('PyTorch CPU, all cores', 'torch', { device: 'cpu', threads: availableParallelism() }),
];

export const GPU_INFERENCE: readonly SystemSpec[] = [
  SRC_F32,
  SRC_F16,
  spec('ncnn-vulkan', 'ncnn', '8 bits'),
  ...TORCH_CUDA,
];

export const GPU_TRAINING: readonly SystemSpec[] = [SRC_F32, SRC_F16, ...TORCH_CUDA];

/** `src` always; of the others those whose modules are wanted. */
export function chosen(systems: readonly SystemSpec[], peers: readonly string[] | undefined): SystemSpec[] {
  return systems.filter(({ peer }) => peer.startsWith('src') || !peers || peers.includes(peer));
}

export const PEERS: readonly string[] = ['ncnn', 'tfjs', 'ort-web', 'ort-node', 'torch'];

function spec(
  name: string,
  peer: string,
  claims: SystemSpec['claims'],
  options: SystemSpec['options'] = {},
): SystemSpec {
  return { name, peer, claims, options };
}

function onCpu(name: string, peer: string, options: SystemSpec['options']): SystemSpec {
  return { ...spec(name, peer, 'f32', options), onCpu: true };
}
