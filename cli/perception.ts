// Weights of perception networks. Those of VGG19 are a download that no file of ours brings along: they are looked for
// where the user says, then beside the `.sr` file, then in the cache, where `src fetch vgg19` puts them.

import { dirname, join, resolve } from 'node:path';
import { fail, internal } from '../diagnostics.js';
import { load, type Network, type Program } from '../dsl/index.js';
import { matchWeights } from '../formats/match.js';
import { writeSafetensors } from '../formats/safetensors.js';
import type { WeightFile, WeightTensor } from '../formats/weights.js';
import { cacheFolder } from '../runtime/node-cache.js';
import type { Parameter } from '../runtime/plan.js';
import { parametersOf } from '../train/stages.js';
import { statOf, writeAtomic } from './files.js';
import { VGG19_URL } from './published.js';
import { loadWeights } from './weights.js';

const VARIABLE = 'SRC_VGG19';

/** The features alone, as safetensors under the names of the library's `vgg19`. */
export function vgg19InCache(): string {
  return join(cacheFolder(), 'vgg19.safetensors');
}

/** Writes the part of torchvision's file that is used, an eighth of it; refuses what is not VGG19. */
export async function saveVgg19(file: WeightFile, path: string): Promise<void> {
  const parameters = parametersOf(vgg19());
  const values = matchWeights(parameters, file);
  const tensors = parameters.map(({ name, shape }): [string, WeightTensor] => [
    name,
    { shape, data: values.get(name)!, dtype: 'f32' },
  ]);
  await writeAtomic(path, writeSafetensors(new Map(tensors)));
}

/** The values of the perception networks among `used`, under their names in the training's graphs: `vgg.conv1_1.weight`. */
export async function perceptionWeights(
  program: Program,
  used: readonly string[],
  given?: string,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const network of program.networks) {
    if (network.role !== 'perception' || !used.includes(network.name)) continue;
    const path = await findWeights(program, network, given);
    const values = matchWeights(parametersOf(network), await loadWeights(path));
    for (const [name, data] of values) weights.set(`${network.name}.${name}`, data);
  }
  return weights;
}

async function findWeights({ source }: Program, network: Network, given?: string): Promise<string> {
  const { name, weights } = network;
  const standard = isVgg19(network);
  if (standard && given !== undefined) return given;
  const named = process.env[VARIABLE];
  if (standard && named) return named;
  const beside = weights ? [resolve(dirname(source.name), weights)] : [];
  const places = [...beside, ...(standard ? [vgg19InCache()] : [])];
  for (const place of places) if (await statOf(place)) return place;
  return fail(`the weights of \`${name}\` are not on this machine`, {
    notes: [
      `looked for ${places.join(' and ') || 'nothing: the file names none'}`,
      ...(standard ? [`they are torchvision's: ${VGG19_URL}`] : []),
    ],
    help: standard
      ? `\`src fetch vgg19\` downloads them; a file you have: --vgg FILE, or ${VARIABLE}=FILE`
      : `write their file's path into ${source.name}`,
  });
}

/** By its shapes: the file may write it out, or under another name. */
function isVgg19(network: Network): boolean {
  const shapes = (parameters: readonly Parameter[]) => parameters.map(({ shape }) => shape.join()).join(' ');
  return shapes(parametersOf(network)) === shapes(parametersOf(vgg19()));
}

function vgg19(): Network {
  const text = 'generator none : (3, h, w) -> (3, h, w) { conv(3) }\nperception vgg = vgg19("")\n';
  const { networks } = load({ name: 'vgg19', text });
  return networks.find(({ role }) => role === 'perception') ?? internal('the library has no vgg19');
}
