// ONNX Runtime for tests. A machine for which it has no library skips them and says so; where a device is required, as
// in CI, that is a failure.

import { describe } from 'vitest';
import { loadOrt, type NodeOrt } from '../runtime/node-ort.js';

const ort: NodeOrt | undefined = await loadOrt().catch((error) => {
  if (process.env.SRC_REQUIRE_DEVICE) throw error;
  console.warn(`\nSKIPPED: tests with ONNX Runtime, because ${error.message}\n`);
  return undefined;
});

export function describeWithOrt(name: string, suite: (ort: NodeOrt) => void): void {
  describe.skipIf(!ort)(name, () => suite(ort!));
}
