// ONNX Runtime on the CPU: what a machine without a GPU can do at best.

import { Missing, type OpenPeer } from '../peer.js';
import { packageVersion } from './navigator.js';
import { openSession } from './ort-session.js';

export const open: OpenPeer = async (job, { threads }) => {
  const { default: ort } = await import('onnxruntime-node').catch(() => {
    throw new Missing('onnxruntime-node is not installed: npm run bench:setup');
  });
  const options = { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 };
  return {
    version: `onnxruntime-node ${packageVersion('onnxruntime-node')}`,
    ...(await openSession(ort, job, options)),
  };
};
