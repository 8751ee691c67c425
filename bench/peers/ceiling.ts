// What the device can do at most: what networks reach is told as a share of it, because data sheets know nothing of
// clocks, drivers and software devices.

import { openDevice } from '../../runtime/node.js';
import { measureCeilings } from '../../runtime/profile-ceilings.js';
import type { OpenPeer } from '../peer.js';

export const open: OpenPeer = async () => {
  const { gpu, description } = await openDevice();
  return {
    device: description,
    async run() {
      const began = performance.now();
      const ceilings = await measureCeilings(gpu);
      return { ms: performance.now() - began, ceilings };
    },
  };
};
