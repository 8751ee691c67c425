// Key families: how published checkpoints name their tensors, and the one rule that makes them comparable.
//
// The rule: a file of a known family is put in EXECUTION ORDER. Each family lists its stages in the order in which the
// network runs them; within a stage, numbers in a key count up (`body.2` before `body.10`); within a layer the order
// is weight (under spectral normalisation: weight_orig, weight_u, weight_v), bias, running_mean, running_var. ncnn and
// tfjs files come in that order already. Two families of one network, or a family and our own graph, then agree tensor
// by tensor. A family matches only when EVERY key of the file belongs to one of its stages: a file with other keys has
// no family and is never put in order by guessing.

import type { WeightFile, WeightTensor } from './weights.js';

export interface KeyFamily {
  readonly title: string;
  /** Used up to a tap: what follows the tensors a graph asks for is not an error. */
  readonly openEnded?: true;
}

interface Rule extends KeyFamily {
  /** In execution order. */
  readonly stages: readonly RegExp[];
  /** Rewrites a layer's path so that counting up its numbers gives execution order, where the plain path would not. */
  readonly path?: (path: string) => string;
  /** Tells families with the same keys apart. */
  readonly where?: (tensors: ReadonlyMap<string, WeightTensor>) => boolean;
}

const RULES: readonly Rule[] = [
  { title: 'ESRGAN 2018 ("old-arch")', stages: [/^model\.\d+\./] },
  {
    title: 'ESRGAN repository ("new-arch")',
    stages: [
      /^conv_first\./,
      /^RRDB_trunk\.\d+\.RDB\d\.conv\d\./,
      /^trunk_conv\./,
      /^upconv\d\./,
      /^HRconv\./,
      /^conv_last\./,
    ],
  },
  {
    title: 'BasicSR RRDBNet',
    stages: [
      /^conv_first\./,
      /^body\.\d+\.rdb\d\.conv\d\./,
      /^conv_body\./,
      /^conv_up\d\./,
      /^conv_hr\./,
      /^conv_last\./,
    ],
  },
  {
    title: 'BasicSR MSRResNet',
    stages: [/^conv_first\./, /^body\.\d+\.conv\d\./, /^upconv\d\./, /^conv_hr\./, /^conv_last\./],
  },
  { title: 'BasicSR SRVGGNetCompact', stages: [/^body\.\d+\.(weight|bias)$/] },
  {
    title: 'VGG discriminator of 2018',
    stages: [/^features\.\d+\./, /^classifier\.\d+\./],
    where: (tensors) => [...tensors.values()].some(({ shape }) => shape.length === 4 && shape[2] === 4),
  },
  {
    title: 'torchvision VGG',
    stages: [/^features\.\d+\./, /^classifier\.\d+\./],
    openEnded: true,
  },
  {
    title: 'BasicSR VGGStyleDiscriminator',
    stages: [/^(conv|bn)\d+_\d+\./, /^linear\d+\./],
    path: (path) => path.replace(/^(conv|bn)(\d+_\d+)$/, (_, kind, at) => `${at}.${kind === 'conv' ? 0 : 1}`),
  },
  {
    title: 'Real-ESRGAN UNetDiscriminatorSN',
    stages: [/^conv\d\./],
    where: (tensors) => tensors.has('conv1.weight_orig'),
  },
];

const IN_FILE_ORDER: Partial<Record<WeightFile['format'], KeyFamily>> = {
  ncnn: { title: 'ncnn layers in file order' },
  tfjs: { title: 'Keras layers in topology order' },
};

const NOTED: KeyFamily = { title: 'in the order that the file notes' };

/** The execution order of names that do not tell it, as written beside them; in their own order no more is known. */
const ORDER = 'order';

/** For the file that `file` is written to: in another format, the order of ncnn and tfjs layers would be lost. */
export function orderNote(file: WeightFile): Readonly<Record<string, string>> {
  const ordered = IN_FILE_ORDER[file.format] ? sortLeaves(tensorsOf(file)) : inNotedOrder(file);
  return ordered ? { [ORDER]: JSON.stringify(ordered.map(({ name }) => name)) } : {};
}

/** The tensors as the note beside them orders them; undefined without one, or when it is not of exactly these. */
function inNotedOrder(file: WeightFile): NamedTensor[] | undefined {
  const note = file.metadata[ORDER];
  if (note === undefined) return undefined;
  let names: unknown;
  try {
    names = JSON.parse(note);
  } catch {
    return undefined;
  }
  const byName = new Map(tensorsOf(file).map((tensor) => [tensor.name, tensor]));
  if (!Array.isArray(names) || new Set(names).size !== byName.size) return undefined;
  const ordered = names.flatMap((name) => byName.get(name) ?? []);
  return ordered.length === byName.size ? ordered : undefined;
}

/** Left by data parallel and GAN training code around every key. */
const PREFIXES = /^(?:module\.|netG\.){0,4}/;

const LEAVES = ['weight', 'weight_orig', 'weight_u', 'weight_v', 'bias', 'running_mean', 'running_var'];

export interface NamedTensor extends WeightTensor {
  readonly name: string;
}

/** The last part of a key: one of LEAVES, or what no graph has. */
export function leafOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function pathOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

/** The file's tensors less BatchNorm's step counters, which nothing computes with. */
export function tensorsOf(file: WeightFile): NamedTensor[] {
  return [...file.tensors]
    .filter(([name]) => leafOf(name) !== 'num_batches_tracked')
    .map(([name, tensor]) => ({ name, ...tensor }));
}

/** The family of the file's keys; undefined for our own names and for unknown ones. */
export function familyOf(file: WeightFile): KeyFamily | undefined {
  return IN_FILE_ORDER[file.format] ?? (inNotedOrder(file) ? NOTED : ruleOf(file));
}

/** The file's tensors in execution order; undefined when its keys are of no known family. */
export function executionOrder(file: WeightFile): NamedTensor[] | undefined {
  const tensors = tensorsOf(file);
  if (IN_FILE_ORDER[file.format]) return sortLeaves(tensors);
  const noted = inNotedOrder(file);
  if (noted) return noted;
  const rule = ruleOf(file);
  return rule && sortByStage(rule, tensors);
}

/** Brings the leaves of each layer into the one order, and leaves the layers as they come. */
export function sortLeaves<T extends { readonly name: string }>(items: readonly T[]): T[] {
  const layers = new Map<string, T[]>();
  for (const item of items) {
    const layer = layers.get(pathOf(item.name)) ?? [];
    layer.push(item);
    layers.set(pathOf(item.name), layer);
  }
  return [...layers.values()].flatMap((layer) => layer.sort((a, b) => leafRank(a.name) - leafRank(b.name)));
}

/** Removes the prefixes that every key carries, in whatever order they were put around each other. */
export function stripPrefixes(file: WeightFile): WeightFile {
  const names = [...file.tensors.keys()];
  const common = names.map((name) => PREFIXES.exec(name)?.[0] ?? '').reduce(commonStart);
  const prefix = PREFIXES.exec(common)?.[0];
  if (!prefix) return file;
  const tensors = new Map([...file.tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  return { ...file, tensors, metadata: { ...file.metadata, prefix } };
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

function ruleOf(file: WeightFile): Rule | undefined {
  const names = [...file.tensors.keys()];
  return RULES.find(
    ({ stages, where }) =>
      names.every((name) => stages.some((stage) => stage.test(name))) && (where?.(file.tensors) ?? true),
  );
}

function sortByStage(
  { stages, path = (text) => text }: Rule,
  tensors: readonly NamedTensor[],
): NamedTensor[] {
  const keyed = tensors.map((tensor) => ({
    tensor,
    stage: stages.findIndex((stage) => stage.test(tensor.name)),
    numbers: path(pathOf(tensor.name)).split(/(\d+)/),
    leaf: leafRank(tensor.name),
  }));
  keyed.sort((a, b) => a.stage - b.stage || compareNatural(a.numbers, b.numbers) || a.leaf - b.leaf);
  return keyed.map(({ tensor }) => tensor);
}

/** Of texts split at their numbers: every second part is one. */
function compareNatural(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x = '', y = ''] = [a[i], b[i]];
    if (x !== y) return i % 2 ? Number(x) - Number(y) : x < y ? -1 : 1;
  }
  return a.length - b.length;
}

function leafRank(name: string): number {
  const rank = LEAVES.indexOf(leafOf(name));
  return rank < 0 ? LEAVES.length : rank;
}
