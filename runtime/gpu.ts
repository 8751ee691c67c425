// What the runtime needs of WebGPU beside its objects: the flag values (browsers define them as globals, Node does
// not), and the three ways it fails (a rule broken, memory exhausted, the device lost) turned into our errors.

import { internal, UserError } from '../diagnostics.js';

export const Usage = {
  mapRead: 1,
  copySrc: 4,
  copyDst: 8,
  uniform: 64,
  storage: 128,
  queryResolve: 512,
} as const;
export const MAP_READ = 1;
export const STAGE_COMPUTE = 4;

/** The device has no room left. Asking for less may help. */
export class OutOfMemory extends UserError {}

/** Runs `work`; a validation error in it is a bug of ours, running out of memory is the user's to solve. */
export async function checked<T>(device: GPUDevice, what: string, work: () => T): Promise<T> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let scopes: Promise<(GPUError | null)[]>;
  let result: T;
  try {
    result = work();
  } finally {
    scopes = Promise.all([device.popErrorScope(), device.popErrorScope()]);
  }
  const [exhausted, invalid] = await scopes;
  if (exhausted) {
    throw new OutOfMemory({
      message: `the GPU ran out of memory: ${what}`,
      notes: [firstLine(exhausted.message)],
      help: 'use a smaller --tile or --precision f16, or close other programs that use the GPU',
    });
  }
  if (invalid) internal(`${what}: ${invalid.message}`);
  return result;
}

/** Buffers, all or none. */
export async function allocate(
  device: GPUDevice,
  what: string,
  descriptors: readonly GPUBufferDescriptor[],
): Promise<readonly GPUBuffer[]> {
  const buffers: GPUBuffer[] = [];
  const bytes = descriptors.reduce((total, { size }) => total + size, 0);
  try {
    await checked(device, `${what} needs ${printBytes(bytes)}`, () => {
      for (const descriptor of descriptors) buffers.push(device.createBuffer(descriptor));
    });
    return buffers;
  } catch (error) {
    for (const buffer of buffers) buffer.destroy();
    throw error;
  }
}

/** What `source` holds once the work that was submitted is done, given to `use` while it is mapped. */
export async function readBuffer<T>(
  device: GPUDevice,
  guard: LossGuard,
  source: GPUBuffer,
  use: (values: Float32Array) => T,
): Promise<T> {
  const { size } = source;
  const [staging] = await allocate(device, 'reading back', [{ size, usage: Usage.mapRead | Usage.copyDst }]);
  try {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(source, 0, staging!, 0, size);
    device.queue.submit([encoder.finish()]);
    await guard.wait(staging!.mapAsync(MAP_READ));
    return use(new Float32Array(staging!.getMappedRange()));
  } finally {
    staging!.destroy();
  }
}

/** What a platform does while the host waits for a device. */
export interface Waiting {
  begin(): void;
  end(): void;
}

const platforms = new WeakMap<GPUDevice, Waiting>();

/** For the door that opened `device`. */
export function whileWaiting(device: GPUDevice, waiting: Waiting): void {
  platforms.set(device, waiting);
}

/** Waits that end when the device is lost, so that nothing hangs; one subscription however many waits there are. */
export class LossGuard {
  #error: UserError | undefined;
  readonly #waiting = new Set<(error: UserError) => void>();
  readonly #platform: Waiting | undefined;

  constructor(device: GPUDevice) {
    this.#platform = platforms.get(device);
    void device.lost.then(({ reason, message }) => {
      this.#error = new UserError({
        message:
          reason === 'destroyed' ? 'the GPU device was closed while in use' : 'the GPU device was lost',
        ...(message && { notes: [firstLine(message)] }),
        help: 'run the command again; if it is lost again, use a smaller --tile, or --device software',
      });
      for (const reject of this.#waiting) reject(this.#error);
    });
  }

  async wait<T>(promise: Promise<T>): Promise<T> {
    if (this.#error) {
      promise.catch(() => {}); // it ends in the same way
      throw this.#error;
    }
    this.#platform?.begin();
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      promise
        .then(resolve, (error) => reject(this.#error ?? error))
        .finally(() => {
          this.#waiting.delete(reject);
          this.#platform?.end();
        });
    });
  }
}

export function printBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}

function firstLine(text: string): string {
  return text.split('\n')[0]!;
}
