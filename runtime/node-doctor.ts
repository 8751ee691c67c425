// What `src doctor` prints: the device that would be used, the Vulkan drivers on the machine, and what makes it slow
// with the command that fixes it.

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { UserError } from '../diagnostics.js';
import type { Description } from './device.js';
import { type DeviceOptions, openDevice } from './node.js';
import { type Gpu, gpusOnBus, softwareAdvice } from './node-advice.js';
import { readTuning, type Tuning } from './node-tuned.js';
import { DRIVER_VARIABLES, installedDrivers, libraryOf, loadLoader } from './node-vulkan.js';

export interface Diagnosis {
  /** `linux x64, Node 20.20.2` */
  readonly system: string;
  readonly device?: Description & { readonly summary: string; readonly tuning: Tuning };
  /** Vulkan, on Linux: the loader, and each driver's manifest and library. */
  readonly vulkan?: { readonly loader: boolean; readonly drivers: readonly DriverFiles[] };
  /** Vendors of the GPUs on the PCI bus, whether or not a driver serves them. */
  readonly gpus: readonly string[];
  readonly findings: readonly Finding[];
}

export interface DriverFiles {
  readonly manifest: string;
  readonly library?: string;
}

export interface Finding {
  readonly problem: string;
  readonly fix?: string;
}

export async function diagnose(options: DeviceOptions = {}): Promise<Diagnosis> {
  const gpus = gpusOnBus();
  const findings: Finding[] = [];
  const drivers = installedDrivers().map(({ manifest }): DriverFiles => {
    const library = libraryOf(manifest);
    return { manifest, ...(library && { library }) };
  });
  const loader = process.platform === 'linux' && loadLoader();
  let device: Diagnosis['device'];
  try {
    const opened = await openDevice(options);
    const { description, summary } = opened;
    await opened.close();
    device = { ...description, summary, tuning: await readTuning(description) };
    findings.push(...slowness(device, gpus));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const { message, help } of error.diagnostics) {
      findings.push({ problem: message, ...(help && { fix: help }) });
    }
  }
  if (process.platform === 'linux') findings.push(...brokenDrivers(drivers, loader), ...closedNodes());
  return {
    system: `${process.platform} ${process.arch}, Node ${process.versions.node}`,
    ...(device && { device }),
    ...(process.platform === 'linux' && { vulkan: { loader, drivers } }),
    gpus: gpus.map(({ vendor }) => vendor),
    findings,
  };
}

function slowness({ kind, name, features }: Description, gpus: readonly Gpu[]): Finding[] {
  const findings: Finding[] = [];
  if (kind === 'software') {
    const [gpu] = gpus;
    findings.push(
      gpu
        ? {
            problem: `the machine has an ${gpu.vendor} GPU, but no driver serves it: the CPU does the work`,
            fix: gpu.advice,
          }
        : { problem: 'no GPU: the CPU does its work, a hundred times slower or more' },
    );
    if (/swiftshader/i.test(name)) {
      findings.push({ problem: 'SwiftShader is about 8 times slower than lavapipe', fix: softwareAdvice() });
    }
  }
  if (!features.includes('shader-f16')) {
    findings.push({ problem: 'the device has no 16-bit floats: --precision f16 does not work' });
  }
  return findings;
}

function brokenDrivers(drivers: readonly DriverFiles[], loader: boolean): Finding[] {
  const broken = drivers.filter(({ library }) => !library || (isAbsolute(library) && !existsSync(library)));
  return [
    ...misleading(),
    ...broken.map(({ manifest, library }) => ({
      problem: library ? `${manifest} names ${library}, which is not there` : `${manifest} cannot be read`,
      fix: 'reinstall the driver',
    })),
    ...(loader ? [] : [{ problem: 'there is no Vulkan loader (libvulkan.so.1)', fix: softwareAdvice() }]),
  ];
}

/** Variables that keep the loader from the drivers of the usual folders and name none instead. */
function misleading(): Finding[] {
  return DRIVER_VARIABLES.flatMap((name) => {
    const value = process.env[name];
    if (!value || value.split(':').some(existsSync)) return [];
    return [
      { problem: `${name}=${value} names no driver, and hides those that are there`, fix: `unset ${name}` },
    ];
  });
}

const DEVICE_NODES = '/dev/dri';

/** GPUs that this user may not open. */
function closedNodes(): Finding[] {
  const nodes = existsSync(DEVICE_NODES)
    ? readdirSync(DEVICE_NODES).filter((name) => name.startsWith('renderD'))
    : [];
  return nodes
    .map((name) => join(DEVICE_NODES, name))
    .filter((path) => !isOpen(path))
    .map((path) => ({
      problem: `${path} is closed to this user`,
      fix: 'run `sudo usermod -aG render $USER` and log in again',
    }));
}

function isOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
