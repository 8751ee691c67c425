// While software Vulkan computes, the event loop sleeps: a little in each turn, however many waits there were before.

import { expect, test, vi } from 'vitest';
import { LossGuard } from '../../runtime/gpu.js';
import { restWhileWaiting } from '../../runtime/node-rest.js';

test('one rest for each turn of the loop, and none when nothing is awaited', async () => {
  const device = { lost: new Promise(() => {}) } as unknown as GPUDevice;
  restWhileWaiting(device);
  const guard = new LossGuard(device);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const rest = vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
  try {
    for (let i = 0; i < 20; i++) await guard.wait(turn());
    // A turn in which a wait ends may begin the next one's rest already.
    expect(rest.mock.calls.length).toBeGreaterThan(10);
    expect(rest.mock.calls.length).toBeLessThanOrEqual(40);
    for (let i = 0; i < 3; i++) await turn();
    rest.mockClear();
    for (let i = 0; i < 5; i++) await turn();
    expect(rest).not.toHaveBeenCalled();
  } finally {
    rest.mockRestore();
  }
});
