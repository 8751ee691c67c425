// Vulkan on Linux as files: which drivers (ICD manifests) and loaders the machine has, and how to run with one of them.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';

export interface VulkanDriver {
  readonly name: string;
  /** The ICD manifest, a JSON file that names the driver's library. */
  readonly manifest: string;
  /** A libvulkan.so.1 that comes with the driver, for machines that have none. */
  readonly loader?: string;
}

/** Either of them replaces the loader's own search; the second is its old name, which older loaders know. */
export const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const;

/** Where browsers keep their SwiftShader. */
const BROWSER_FOLDERS = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/opt/chromium.org/chromium',
  '/opt/microsoft/msedge',
];

/** The manifests that the loader will find: those the environment names, else those of the usual folders. */
export function installedDrivers(): VulkanDriver[] {
  const named = DRIVER_VARIABLES.map((name) => process.env[name]).find(Boolean);
  const manifests = named
    ? named.split(delimiter).filter(existsSync)
    : manifestFolders().flatMap(manifestsIn);
  return manifests.map((manifest) => ({ name: basename(manifest, '.json'), manifest }));
}

/** The loader's search path (Vulkan loader, "Driver Discovery on Linux"). */
function manifestFolders(): string[] {
  const { XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CONFIG_DIRS, XDG_DATA_DIRS } = process.env;
  const bases = [
    XDG_CONFIG_HOME || join(homedir(), '.config'),
    ...(XDG_CONFIG_DIRS || '/etc/xdg').split(delimiter),
    '/usr/local/etc',
    '/etc',
    XDG_DATA_HOME || join(homedir(), '.local/share'),
    ...(XDG_DATA_DIRS || '/usr/local/share:/usr/share').split(delimiter),
  ];
  return [...new Set(bases.map((base) => join(base, 'vulkan/icd.d')))];
}

function manifestsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, name));
}

/** Software drivers on this machine, the fastest first: Mesa's lavapipe, then the SwiftShader of a browser. */
export function softwareDrivers(): VulkanDriver[] {
  const lavapipe = manifestFolders()
    .flatMap(manifestsIn)
    .filter((manifest) => /^lvp_icd/.test(basename(manifest)))
    .map((manifest) => ({ name: 'lavapipe', manifest }));
  const browsers = BROWSER_FOLDERS.map((folder) => ({
    name: `SwiftShader (${folder})`,
    manifest: join(folder, 'vk_swiftshader_icd.json'),
    loader: join(folder, 'libvulkan.so.1'),
  })).filter(({ manifest, loader }) => existsSync(manifest) && existsSync(loader));
  return [...lavapipe, ...browsers];
}

/** The library a manifest names; undefined where the manifest cannot be read. A bare name is found by the linker. */
export function libraryOf(manifest: string): string | undefined {
  try {
    const { ICD } = JSON.parse(readFileSync(manifest, 'utf8')) as { ICD: { library_path: string } };
    const path = ICD.library_path;
    return path.includes('/') && !isAbsolute(path) ? resolve(dirname(manifest), path) : path;
  } catch {
    return undefined;
  }
}

/** Runs `work` as if `driver` were the machine's only one. */
export async function withDriver<T>(driver: VulkanDriver, work: () => Promise<T>): Promise<T> {
  const before = DRIVER_VARIABLES.map((name) => [name, process.env[name]] as const);
  for (const name of DRIVER_VARIABLES) process.env[name] = driver.manifest;
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

const RTLD_NOW = 2;
/** Node closes a library that is no addon again; this keeps it. */
const RTLD_NODELETE = 0x1000;

/** Whether `libvulkan.so.1` can be loaded. Loading it by path once makes it known to Dawn by its name. */
export function loadLoader(file = 'libvulkan.so.1'): boolean {
  try {
    process.dlopen({ exports: {} }, file, RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    return error instanceof Error && error.message.includes('did not self-register'); // loaded, though no Node addon
  }
  return true;
}
