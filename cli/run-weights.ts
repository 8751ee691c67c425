// Which weights `src run` uses: files of the user's, or those that come with a bundled network, in one of its styles.

import { fail, type Source } from '../diagnostics.js';
import { didYouMean } from '../dsl/suggest.js';
import { bundledWeights } from './package.js';
import { failWithoutWeights } from './published.js';

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

function failWithoutStyle({ name }: Source, style: string, known: readonly string[]): never {
  const near = didYouMean(style, known);
  return fail(`${name} has no style "${style}"`, {
    notes: [`its styles: ${known.join(', ')}`],
    help: near ? `did you mean --style ${near}?` : 'choose one of these',
  });
}
