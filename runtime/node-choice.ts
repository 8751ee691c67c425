// Which device networks run on when the user leaves it open: a GPU; without one the CPU through ONNX Runtime, where that
// is installed; else software Vulkan, which is slower. Training and checks need WebGPU and use node.ts alone.

import { UserError } from '../diagnostics.js';
import { type DeviceOptions, hostMemory, type NodeDevice, openDevice } from './node.js';
import { isOrtInstalled, loadOrt, type NodeOrt } from './node-ort.js';

/** The CPU through ONNX Runtime, as a device among the others. */
export interface CpuDevice extends Pick<NodeDevice, 'memory' | 'summary' | 'close'> {
  readonly ort: NodeOrt;
  readonly description: { readonly name: string; readonly kind: 'cpu' };
}

export async function chooseDevice({
  device: wanted = 'auto',
}: DeviceOptions = {}): Promise<NodeDevice | CpuDevice> {
  if (wanted === 'cpu') return openCpu();
  if (wanted !== 'auto') return openDevice({ device: wanted });
  if (!isOrtInstalled()) {
    const device = await openDevice();
    return device.description.kind === 'software' ? withAdvice(device) : device;
  }
  const hardware = await unlessRefused(() => openDevice({ device: 'hardware' }));
  if ('gpu' in hardware) return hardware;
  const cpu = await unlessRefused(openCpu);
  if ('ort' in cpu) return { ...cpu, summary: `no GPU found: ${cpu.summary}` };
  const software = await openDevice();
  return { ...software, summary: `${software.summary} (${cpu.reason})` };
}

/** What `open` gives, or why it refuses. */
async function unlessRefused<T extends object>(
  open: () => Promise<T>,
): Promise<T | { readonly reason: string }> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof UserError) return { reason: error.message };
    throw error;
  }
}

async function openCpu(): Promise<CpuDevice> {
  const ort = await loadOrt();
  const name = `ONNX Runtime ${ort.version} on the CPU`;
  return {
    ort,
    description: { name, kind: 'cpu' },
    memory: hostMemory() / 2,
    summary: name,
    close: async () => {},
  };
}

function withAdvice(device: NodeDevice): NodeDevice {
  const advice = '`npm install onnxruntime-node` makes networks twice as fast';
  return { ...device, summary: `${device.summary}; ${advice}` };
}
