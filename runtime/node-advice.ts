// What to install, as the exact command where the distribution is known.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const INSTALL: Readonly<Record<string, string>> = {
  debian: 'sudo apt-get install -y mesa-vulkan-drivers libvulkan1',
  fedora: 'sudo dnf install -y mesa-vulkan-drivers vulkan-loader',
  arch: 'sudo pacman -S --noconfirm vulkan-swrast vulkan-icd-loader',
  alpine: 'sudo apk add mesa-vulkan-swrast vulkan-loader',
  suse: 'sudo zypper install -y libvulkan_lvp libvulkan1',
};

/** How to get lavapipe, the fastest Vulkan without a GPU. */
export function softwareAdvice(): string {
  const { ID = '', ID_LIKE = '', VERSION_CODENAME = '' } = osRelease();
  if (VERSION_CODENAME === 'bookworm') {
    const command = 'sudo apt-get install -y -t bookworm-backports mesa-vulkan-drivers libvulkan1';
    return `add the suite bookworm-backports to your Debian sources and run \`${command}\``;
  }
  const family = [ID, ...ID_LIKE.split(' ')].find((name) => name in INSTALL);
  return family
    ? `run \`${INSTALL[family]}\``
    : "install your system's Mesa Vulkan drivers (lavapipe) and the Vulkan loader";
}

function osRelease(): Readonly<Record<string, string>> {
  if (!existsSync('/etc/os-release')) return {};
  const lines = readFileSync('/etc/os-release', 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return Object.fromEntries([...lines].map(([, key, value]) => [key, value]));
}

/** GPUs on the PCI bus whose vendor has Vulkan drivers, and how to get those. */
export interface Gpu {
  readonly vendor: string;
  readonly advice: string;
}

const VENDORS: Readonly<Record<string, Gpu>> = {
  '0x10de': {
    vendor: 'NVIDIA',
    advice:
      "install NVIDIA's driver with its Vulkan part (Debian: nvidia-driver and nvidia-vulkan-icd); in a container, set NVIDIA_DRIVER_CAPABILITIES=all",
  },
  '0x1002': {
    vendor: 'AMD',
    advice: "install your system's Mesa Vulkan drivers (Debian: mesa-vulkan-drivers)",
  },
  '0x8086': {
    vendor: 'Intel',
    advice: "install your system's Mesa Vulkan drivers (Debian: mesa-vulkan-drivers)",
  },
};

const PCI = '/sys/bus/pci/devices';
/** PCI base class of display controllers. */
const DISPLAY = '0x03';

export function gpusOnBus(): Gpu[] {
  if (!existsSync(PCI)) return [];
  const read = (device: string, file: string): string => readFileSync(join(PCI, device, file), 'utf8').trim();
  return readdirSync(PCI)
    .filter((device) => read(device, 'class').startsWith(DISPLAY))
    .flatMap((device) => VENDORS[read(device, 'vendor')] ?? []);
}
