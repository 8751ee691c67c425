// Checkpoints as bytes: one safetensors file, so that any tool can look inside. Everything that decides the bits of the
// next step is in it, and a checksum over all of it: a file that was cut off or changed is never trained on.

import { fail, internal } from '../diagnostics.js';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.js';
import { isRecord } from '../formats/values.js';
import type { WeightTensor } from '../formats/weights.js';
import type { Tensors, TrainingState } from './state.js';

export interface Checkpoint {
  readonly state: TrainingState;
  readonly settings: Settings;
}

/** What must be the same when training goes on, by what people call it: `the .sr file` -> its hash. */
export type Settings = Readonly<Record<string, string>>;

const FORMAT = 'src checkpoint 1';

/** The kinds of tensors, and what their names begin with: `moment1/critic.conv.weight`. */
const PREFIX = { values: 'value/', moment1: 'moment1/', moment2: 'moment2/', average: 'average/' } as const;

/** What the names of settings begin with, among the file's metadata. */
const SETTING = 'setting/';

export async function encodeCheckpoint({ state, settings }: Checkpoint): Promise<Uint8Array<ArrayBuffer>> {
  const { stage, step, values, moment1, moment2, average = new Map(), lossScale, kernels } = state;
  const tensors = [
    ...prefixed(PREFIX.values, values),
    ...prefixed(PREFIX.moment1, moment1),
    ...prefixed(PREFIX.moment2, moment2),
    ...prefixed(PREFIX.average, average),
  ];
  const bytes = writeSafetensors(new Map(tensors), {
    sha256: BLANK, // comes first, where CHECKSUM_AT says
    format: FORMAT,
    stage,
    step: String(step),
    ...(lossScale && { scale: String(lossScale.scale), since: String(lossScale.since) }),
    ...(kernels && { adapter: kernels.adapter, tuned: JSON.stringify(kernels.tuned) }),
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [SETTING + name, value])),
  });
  bytes.set(new TextEncoder().encode(await checksum(bytes)), CHECKSUM_AT);
  return bytes;
}

/** By the metadata of a safetensors file. */
export function isCheckpoint({ format }: Readonly<Record<string, string>>): boolean {
  return format === FORMAT;
}

/** Undefined for what is not bit for bit what was written. */
export async function decodeCheckpoint(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Checkpoint | undefined> {
  const written = new TextDecoder().decode(bytes.subarray(CHECKSUM_AT, CHECKSUM_AT + BLANK.length));
  if (written !== (await checksum(bytes))) return undefined;
  const { tensors, metadata } = readSafetensors(name, bytes);
  const { format, stage = '', step, scale, since, adapter, tuned } = metadata;
  if (format !== FORMAT) {
    fail(`${name}: this checkpoint was written by another version of this program`, {
      notes: [`it is a ${format}, this version reads ${FORMAT}`],
      help: 'go on with that version, or train in a new folder',
    });
  }
  const data = [...tensors].map(([key, tensor]) => [key, tensor.data] as const);
  const average = withPrefix(PREFIX.average, data);
  return {
    state: {
      stage,
      step: Number(step),
      values: withPrefix(PREFIX.values, data),
      moment1: withPrefix(PREFIX.moment1, data),
      moment2: withPrefix(PREFIX.moment2, data),
      ...(average.size > 0 && { average }),
      ...(scale !== undefined && { lossScale: { scale: Number(scale), since: Number(since) } }),
      ...(adapter !== undefined && tuned !== undefined && { kernels: { adapter, tuned: JSON.parse(tuned) } }),
    },
    settings: Object.fromEntries(withPrefix(SETTING, Object.entries(metadata))),
  };
}

function prefixed(prefix: string, tensors: Tensors): [string, WeightTensor][] {
  return [...tensors].map(([name, data]) => [prefix + name, { shape: [data.length], data, dtype: 'f32' }]);
}

function withPrefix<T>(prefix: string, entries: readonly (readonly [string, T])[]): Map<string, T> {
  return new Map(
    entries.flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
    ),
  );
}

/** Refuses to go on with anything else than what the checkpoint was trained with. */
export function checkSettings(name: string, saved: Settings, now: Settings): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(now)])];
  const changed = names.filter((key) => saved[key] !== now[key]);
  if (changed.length === 0) return;
  fail(`${name}: training cannot go on, because other things are trained now: ${changed.join(', ')}`, {
    notes: changed.map((key) => `${key}: ${difference(saved[key], now[key])}`),
    help: `change them back, or train in a new folder; \`--init ${name}\` starts there from these weights`,
  });
}

/** Of values that are records, the fields that differ; hashes say nothing to people but that they differ. */
function difference(then = 'nothing', now = 'nothing'): string {
  if ([then, now].every((value) => /^[0-9a-f]{12}$/.test(value))) return 'not the same';
  const [before, after] = [recordOf(then), recordOf(now)];
  if (!before || !after) return `${then} then, ${now} now`;
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const print = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  return fields
    .map((field) => [field, print(before[field]), print(after[field])] as const)
    .filter(([, one, other]) => one !== other)
    .map(([field, one, other]) => `${field} ${one} then, ${other} now`)
    .join('; ');
}

function recordOf(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith('{')) return undefined;
  const value: unknown = JSON.parse(text);
  return isRecord(value) ? value : undefined;
}

/**
 * The generator as it is used: `parameters` under their own names, from the average where there is one. (Running
 * statistics are not averaged.)
 */
export function generatorWeights(
  { values, average }: TrainingState,
  network: string,
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Map<string, WeightTensor> {
  return new Map(
    parameters.map(({ name, shape }) => {
      const key = `${network}.${name}`;
      const data = average?.get(key) ?? values.get(key) ?? internal(`the state lacks ${key}`);
      return [name, { shape, data, dtype: 'f32' }];
    }),
  );
}

/** What stands in the place of the checksum while it is computed. */
const BLANK = '0'.repeat(64);
const CHECKSUM_AT = 8 + '{"__metadata__":{"sha256":"'.length;

/** Of what stands before it and the hash of what stands behind it: so nothing large is copied. */
async function checksum(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const start = CHECKSUM_AT + BLANK.length;
  const rest = new TextEncoder().encode(await hash(bytes.subarray(start)));
  return hash(new Uint8Array([...bytes.subarray(0, CHECKSUM_AT), ...rest]));
}

/** SHA-256 in hexadecimal. */
export async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Enough of it to tell a few things apart, and for people to compare. */
export async function shortHash(text: string): Promise<string> {
  return (await hash(new TextEncoder().encode(text))).slice(0, 12);
}
