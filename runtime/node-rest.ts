// Dawn asks the driver in every turn of Node's event loop whether awaited work is done. A GPU does not mind; software
// Vulkan computes on the cores that the asking keeps busy, one of two on a small machine. So while anything is
// awaited of such a device, every turn of the loop sleeps for a moment.

import { whileWaiting } from './gpu.js';

/** Short beside any work worth waiting for. */
const REST_MS = 1;

export function restWhileWaiting(device: GPUDevice): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  let waits = 0;
  let turns = false;
  const turn = () => {
    turns = waits > 0;
    if (!turns) return;
    Atomics.wait(never, 0, 0, REST_MS);
    setImmediate(turn);
  };
  whileWaiting(device, {
    begin() {
      waits++;
      // One wait may follow another before the loop has turned: it goes on sleeping once each turn, not twice.
      if (turns) return;
      turns = true;
      setImmediate(turn);
    },
    end() {
      waits--;
    },
  });
}
