// Where trained weights come from that this program does not bring along: VGG19's, and the messages of `src run` without
// any.

import { fail } from '../diagnostics.js';
import { bundledGraphs } from './package.js';

/** Where torchvision's weights are; the name carries the first digits of the file's SHA-256. */
export const VGG19_URL = 'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth';

/** The arguments of `src run` for published weights, and the project that publishes them. */
const PUBLISHED: readonly (readonly [args: string, project: string])[] = [
  ['esrgan --weights RealESRGAN_x4plus.pth', 'Real-ESRGAN, release v0.1.0'],
  ['esrgan --weights RealESRNet_x4plus.pth', 'Real-ESRGAN, release v0.1.1'],
  ['esrgan --weights ESRGAN_SRx4_DF2KOST_official-ff704c30.pth', 'Real-ESRGAN, release v0.1.1'],
  ['esrgan-anime --weights RealESRGAN_x4plus_anime_6B.pth', 'Real-ESRGAN, release v0.2.2.4'],
  ['realesrgan-x2 --weights RealESRGAN_x2plus.pth', 'Real-ESRGAN, release v0.2.1'],
  ['compact --weights realesr-animevideov3.pth', 'Real-ESRGAN, release v0.2.5.0'],
  ['compact --set convs=32 --weights realesr-general-x4v3.pth', 'Real-ESRGAN, release v0.2.5.0'],
];

const NOTES = PUBLISHED.map(([args, project]) => `${`src run ${args}`.padEnd(70)} ${project}`);

/** `network` is the .sr file that was named. */
export function failWithoutWeights(network: string): never {
  if (!bundledGraphs().some((name) => network === `graphs/${name}.sr`)) {
    fail(`${network}: trained weights are needed`, {
      help: 'add --weights FILE, or --weights runs/x for those of a training',
    });
  }
  return fail(`${network}: trained weights are needed: --weights FILE`, {
    notes: ['published weights that fit the networks that come with this program:', ...NOTES],
    help: 'get one of these files from the releases of the project xinntao/Real-ESRGAN on GitHub',
  });
}

export function failWithoutNetwork(weights: string): never {
  return fail(`${weights} needs the network it was trained for: src run FILE.sr --weights ${weights}`, {
    notes: [
      `networks that come with this program: ${bundledGraphs().join(', ')}`,
      'published weights and theirs:',
      ...NOTES,
    ],
    help: `\`src inspect ${weights}\` says what network these weights look like`,
  });
}
