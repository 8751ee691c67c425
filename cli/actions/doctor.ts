// `src doctor`: what this machine offers for running networks, what is slow about it, and what to do.

import { basename } from 'node:path';
import { UserError } from '../../diagnostics.js';
import { printBytes } from '../../runtime/gpu.js';
import { chooseDevice } from '../../runtime/node-choice.js';
import { type Diagnosis, diagnose, type Finding } from '../../runtime/node-doctor.js';
import { isOrtInstalled } from '../../runtime/node-ort.js';
import type { Tuning } from '../../runtime/node-tuned.js';
import { printAge, printItems, printTable } from '../human.js';
import { type Io, write } from '../io.js';
import { packageVersion } from '../package.js';

export interface DoctorOptions {
  readonly device: string;
  readonly json?: true;
}

export async function doctor({ stdout }: Io, { device, json }: DoctorOptions): Promise<void> {
  const report = await examine(device);
  await write(stdout, json ? `${JSON.stringify(report)}\n` : print(report));
}

interface Report extends Diagnosis {
  readonly version: string;
  /** What networks run on and why; the device is for training alone where that is ONNX Runtime. */
  readonly networks?: string;
  /** The version of sharp; without it only PNG is read and written. */
  readonly sharp?: string;
}

async function examine(device: string): Promise<Report> {
  const sharp = await import('sharp')
    .then(({ default: { versions } }) => versions.sharp)
    .catch(() => undefined);
  const { findings, ...diagnosis } = await diagnose({ device });
  const networks = await networksRunOn(device);
  const missing: Finding[] = [];
  if (diagnosis.device?.kind === 'software' && !isOrtInstalled()) {
    missing.push({
      problem: 'without ONNX Runtime, networks take twice as long on the CPU',
      fix: 'run `npm install onnxruntime-node`',
    });
  }
  if (sharp === undefined) {
    missing.push({
      problem: 'without the package sharp, only PNG is read and written',
      fix: 'run `npm install sharp`',
    });
  }
  return {
    version: packageVersion(),
    ...diagnosis,
    ...(networks !== undefined && { networks }),
    ...(sharp !== undefined && { sharp }),
    findings: [...findings, ...missing],
  };
}

async function networksRunOn(wanted: string): Promise<string | undefined> {
  try {
    const device = await chooseDevice({ device: wanted });
    await device.close();
    return device.summary;
  } catch (error) {
    if (error instanceof UserError) return undefined; // one of the findings
    throw error;
  }
}

function print({ version, system, device, networks, vulkan, gpus, sharp, findings }: Report): string {
  const facts = printTable([
    ['src', version],
    ['system', system],
    ...(device ? describe(device) : [['device', 'none'] as const]),
    ['networks run on', networks ?? 'nothing'],
    ['GPUs', gpus.join(', ') || 'none on the bus'],
    ...(vulkan ? [['Vulkan', printVulkan(vulkan)] as const] : []),
    ['images', sharp === undefined ? 'PNG' : `PNG; JPEG, WebP, TIFF, AVIF and GIF through sharp ${sharp}`],
  ]);
  const advice = findings.map(({ problem, fix }) => `- ${problem}\n${fix === undefined ? '' : `  ${fix}\n`}`);
  return `${facts}\n${advice.join('') || 'Nothing to improve.\n'}`;
}

function describe(device: NonNullable<Diagnosis['device']>) {
  const { name, kind, driver, features, limits, subgroupSize, tuning } = device;
  const { min, max } = subgroupSize ?? {};
  const useful = [
    `16-bit floats ${features.includes('shader-f16') ? 'yes' : 'no'}`,
    `subgroups ${min === undefined ? 'no' : min === max ? `of ${min}` : `of ${min} to ${max}`}`,
    `timestamps ${features.includes('timestamp-query') ? 'yes' : 'no'}`,
  ];
  const sizes = [
    `buffers of ${printBytes(limits.maxBufferSize)}`,
    `bindings of ${printBytes(limits.maxStorageBufferBindingSize)}`,
    `workgroups of ${limits.maxComputeInvocationsPerWorkgroup} sharing ${printBytes(limits.maxComputeWorkgroupStorageSize)}`,
  ];
  return [
    ['device', `${name} (${kind})`],
    ['driver', driver],
    ['features', useful.join(', ')],
    ['limits', sizes.join(', ')],
    ['tuned', describeTuning(tuning)],
  ] as const;
}

function describeTuning({ choices, measured, stale }: Tuning): string {
  if (stale !== undefined) return `no longer: ${stale}; \`src tune\` measures again`;
  if (!measured) return 'no: `src tune` measures which kernels are the fastest here';
  const age = printAge((Date.now() - measured.getTime()) / 1000);
  const count = Object.keys(choices).length;
  return `${age}: ${count === 0 ? 'the usual kernels are the fastest' : `${printItems(count, 'choice')} of a kernel`}`;
}

function printVulkan({ loader, drivers }: NonNullable<Diagnosis['vulkan']>): string {
  const names = drivers.map(({ manifest }) => basename(manifest, '.json')).join(', ');
  return `${loader ? 'loader found' : 'no loader'}, ${names ? `drivers ${names}` : 'no drivers'}`;
}
