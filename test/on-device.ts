// The device for tests that go through the runtime. A machine without one skips them and says so; with
// SRC_REQUIRE_DEVICE set, as in CI, that is a failure.

import { afterAll, describe } from 'vitest';
import { type NodeDevice, openDevice } from '../runtime/node.js';
import type { DType } from '../runtime/plan.js';

export const device: NodeDevice | undefined = await openDevice().catch((error) => {
  if (process.env.SRC_REQUIRE_DEVICE) throw error;
  console.warn(`\nSKIPPED: device tests, because ${error.message}\n`);
  return undefined;
});

afterAll(() => device?.close());

/** A suite that is given the device. */
export function describeOnDevice(name: string, suite: (device: NodeDevice) => void): void {
  describe.skipIf(!device)(name, () => suite(device!));
}

/** For commands that would choose ONNX Runtime where there is no GPU. */
export const onDevice: readonly string[] = ['--device', device?.description.kind ?? 'software'];

/** The storage types that the device has. */
export const precisions: readonly DType[] = device?.gpu.features.has('shader-f16') ? ['f32', 'f16'] : ['f32'];
