// What `src tune` measured on this machine: a file for each adapter in the user's cache folder. It counts for the driver
// and the kernels that were measured and no others; that kernels have changed is seen by their sources, lest someone
// forget to say so.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../formats/values.js';
import type { Description } from './device.js';
import type { ConvChoice, Tuned } from './kernels/conv_family.js';
import { cacheFolder } from './node-cache.js';

export interface Tuning {
  /** What counts now. */
  readonly choices: Tuned;
  /** When, if anything was measured. */
  readonly measured?: Date;
  /** Why that does not count: `it has another driver now`. */
  readonly stale?: string;
}

const FORMAT = 'src tuned 1';
const UNTUNED: Tuning = { choices: {} };

export function tuningFile({ name }: Description): string {
  return join(cacheFolder(), 'tuned', `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.json`);
}

/** Never fails: what cannot be used is measured again. */
export async function readTuning(description: Description): Promise<Tuning> {
  let text: string;
  try {
    text = await readFile(tuningFile(description), 'utf8');
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return isMissing ? UNTUNED : { ...UNTUNED, stale: 'its file cannot be read' };
  }
  const written = parse(text);
  if (!written) return { ...UNTUNED, stale: 'its file is damaged' };
  const { choices, measured, ...setting } = written;
  const now = settingOf(description);
  const stale = (Object.keys(REASONS) as (keyof Setting)[]).find((key) => setting[key] !== now[key]);
  return stale ? { ...UNTUNED, measured, stale: REASONS[stale] } : { choices, measured };
}

/** The content of the file. */
export function printTuning(description: Description, choices: Tuned, measured: Date): string {
  const record = { format: FORMAT, ...settingOf(description), measured, choices };
  return `${JSON.stringify(record, undefined, 2)}\n`;
}

/** What measurements hold for. */
interface Setting {
  readonly adapter: string;
  readonly driver: string;
  readonly kernels: string | undefined;
}

const REASONS: Readonly<Record<keyof Setting, string>> = {
  adapter: 'that was another adapter',
  driver: 'it has another driver now',
  kernels: 'kernels have changed since',
};

function settingOf({ name, vendor, architecture, driver }: Description): Setting {
  return { adapter: [name, vendor, architecture].join(), driver, kernels: kernelVersion() };
}

interface Written extends Setting {
  readonly choices: Tuned;
  readonly measured: Date;
}

function parse(text: string): Written | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value.format !== FORMAT || !isRecord(value.choices)) return undefined;
  const { choices, adapter, driver, kernels } = value;
  const measured = new Date(String(value.measured));
  if (!areChoices(choices) || Number.isNaN(measured.getTime())) return undefined;
  return { adapter: String(adapter), driver: String(driver), kernels: String(kernels), choices, measured };
}

/** Only those count that are among the candidates of their class. */
function areChoices(value: Record<string, unknown>): value is Record<string, ConvChoice> {
  return Object.values(value).every((choice) => isRecord(choice) && typeof choice.variant === 'string');
}

/** A hash of all that writes kernels; undefined, so that nothing counts, in a program that was bundled into one file. */
function kernelVersion(): string | undefined {
  const folder = join(import.meta.dirname, 'kernels');
  if (!existsSync(folder)) return undefined;
  const sources = readdirSync(folder)
    .filter((file) => !file.endsWith('.d.ts'))
    .sort();
  const hash = createHash('sha256');
  for (const file of sources) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest('hex').slice(0, 12);
}
