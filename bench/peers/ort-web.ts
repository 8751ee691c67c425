// ONNX Runtime for browsers with its WebGPU provider, in Node.

import { Missing, type OpenPeer } from '../peer.js';
import { installNavigator, packageVersion } from './navigator.js';
import { openSession } from './ort-session.js';

export const open: OpenPeer = async (job) => {
  installNavigator();
  const ort = await import('onnxruntime-web/webgpu').catch(() => {
    throw new Missing('onnxruntime-web is not installed: npm run bench:setup');
  });
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return {
    version: `onnxruntime-web ${packageVersion('onnxruntime-web')} (WebGPU)`,
    ...(await openSession(ort, job, { executionProviders: ['webgpu'] })),
  };
};
