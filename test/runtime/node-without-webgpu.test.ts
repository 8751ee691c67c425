// Machines that the package webgpu has no library for: a mistake with a way out, and none where ONNX Runtime is.

import { expect, test, vi } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import { openDevice } from '../../runtime/node.js';
import { chooseDevice } from '../../runtime/node-choice.js';
import { diagnose } from '../../runtime/node-doctor.js';
import { describeWithOrt } from '../on-ort.js';

vi.mock('webgpu', () => {
  throw new Error("Cannot find module './dist/linux-mips.dawn.node'");
});

test('a device says what is missing, and what to do', async () => {
  const error = await openDevice().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  expect(render(error as UserError)).toMatch(
    /^error: WebGPU cannot be loaded\n.*\n.*help: run `npm install webgpu`; .*--device cpu/m,
  );
});

test('src doctor goes on', async () => {
  const { device, findings } = await diagnose();
  expect(device).toBeUndefined();
  expect(findings).toContainEqual(expect.objectContaining({ problem: 'WebGPU cannot be loaded' }));
});

describeWithOrt('with ONNX Runtime', () => {
  test('networks run', async () => {
    expect((await chooseDevice()).description.kind).toBe('cpu');
  });
});
