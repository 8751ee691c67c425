// Which network with which weights images go through: files of the user's, or those that come along, in one of their
// styles. For the commands that take images.

import { fail, type Source } from '../diagnostics.js';
import { didYouMean } from '../dsl/suggest.js';
import { blend } from '../formats/blend.js';
import type { WeightFile } from '../formats/weights.js';
import type { Compiled } from '../index.js';
import type { Settings } from './options.js';
import { bundledWeights } from './package.js';
import { failWithoutWeights } from './published.js';
import { loadTrained, underGraphNames } from './weights.js';

/** What `networkOptions` of options.ts gives a command. */
export interface NetworkOptions extends WeightOptions {
  readonly set: Settings;
}

export interface WeightOptions {
  readonly weights?: string;
  readonly style?: string;
  readonly blend?: string;
  readonly alpha?: number;
}

/** One file, or a second one mixed in: (1 - alpha) * first + alpha * second. */
export interface WeightChoice {
  readonly first: string;
  readonly mixed?: { readonly second: string; readonly alpha: number };
}

const NATURAL = 'natural';

export function chooseWeights(
  network: Source,
  { weights, style, blend, alpha }: WeightOptions,
): WeightChoice {
  if (weights !== undefined) {
    if (style !== undefined) {
      fail('--style is for weights that come with this program, --weights for your own', {
        help: 'leave out one of them',
      });
    }
    if (blend === undefined && alpha === undefined) return { first: weights };
    if (blend !== undefined && alpha !== undefined)
      return { first: weights, mixed: { second: blend, alpha } };
    return fail('--blend and --alpha belong together', {
      help: 'write --blend FILE --alpha 0.8, or neither',
    });
  }
  const styles = bundledWeights(network);
  const natural = styles.get(NATURAL) ?? failWithoutWeights(network.name);
  if (blend !== undefined) {
    fail('--blend mixes your own weights', { help: 'add --weights FILE, or use --style and --alpha' });
  }
  if (alpha !== undefined && (style === undefined || style === NATURAL)) {
    fail('--alpha says how much of a style to take', { help: 'add --style sharp' });
  }
  const chosen = styles.get(style ?? NATURAL) ?? failWithoutStyle(network, style!, [...styles.keys()]);
  return alpha === undefined ? { first: chosen } : { first: natural, mixed: { second: chosen, alpha } };
}

/** Under the graph's names: what does not fit is told here, and files of different key families pair up. */
export async function trainedWeights(
  compiled: Compiled,
  { first, mixed }: WeightChoice,
): Promise<WeightFile> {
  const weights = underGraphNames(compiled, await loadTrained(first));
  if (!mixed) return weights;
  return blend(weights, underGraphNames(compiled, await loadTrained(mixed.second)), mixed.alpha);
}

function failWithoutStyle({ name }: Source, style: string, known: readonly string[]): never {
  const near = didYouMean(style, known);
  return fail(`${name} has no style "${style}"`, {
    notes: [`its styles: ${known.join(', ')}`],
    help: near ? `did you mean --style ${near}?` : 'choose one of these',
  });
}
