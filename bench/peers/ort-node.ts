// ONNX Runtime on the CPU: what a machine without a GPU can do at best.

import type { OpenPeer } from '../peer.js';
import { installed } from './installed.js';
import { openSession } from './ort-session.js';

export const open: OpenPeer = async (job, { threads }) => {
  const version = `onnxruntime-node ${installed('onnxruntime-node')}`;
  const { default: ort } = await import('onnxruntime-node');
  const options = { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 };
  return { version, ...(await openSession(ort, job, options)) };
};
