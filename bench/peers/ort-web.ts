// ONNX Runtime for browsers with its WebGPU provider, in Node.

import type { OpenPeer } from '../peer.js';
import { installed } from './installed.js';
import { installNavigator } from './navigator.js';
import { openSession } from './ort-session.js';

export const open: OpenPeer = async (job) => {
  const version = `onnxruntime-web ${installed('onnxruntime-web')} (WebGPU)`;
  installNavigator();
  takeSharedMemory();
  const ort = await import('onnxruntime-web/webgpu');
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return { version, ...(await openSession(ort, job, { executionProviders: ['webgpu'] })) };
};

/** Its memory is shared between threads, which Dawn for Node does not take. */
function takeSharedMemory(): void {
  const { writeBuffer } = GPUQueue.prototype;
  GPUQueue.prototype.writeBuffer = function (buffer, offset, data: BufferSource, ...range) {
    const isShared = data instanceof Uint8Array && data.buffer instanceof SharedArrayBuffer;
    return writeBuffer.call(this, buffer, offset, isShared ? data.slice() : data, ...range);
  };
}
