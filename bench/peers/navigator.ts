// A browser's `navigator.gpu` for packages that know no other door to WebGPU, on the same kind of device as `src` opens.

import { createRequire } from 'node:module';
import { create, globals } from 'webgpu';

/** Reachable as long as the process lives: Dawn dies with its devices when this is collected. */
const gpu = create(process.platform === 'linux' ? ['backend=vulkan'] : []);

export function installNavigator(): void {
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });
}

/** Of a package that this folder depends on. */
export function packageVersion(name: string): string {
  const require = createRequire(import.meta.url);
  return (require(`${name}/package.json`) as { version: string }).version;
}
