// A browser's `navigator.gpu` for packages that know no other door to WebGPU.

import { create, globals } from 'webgpu';

/** Reachable as long as the process lives: Dawn dies with its devices when this is collected. */
const gpu = create(process.platform === 'linux' ? ['backend=vulkan'] : []);

export function installNavigator(): void {
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });
}
