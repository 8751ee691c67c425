// Gives a graph's parameters their values from a weight file, or says readably why they do not fit. By name when the
// file uses the graph's names; otherwise, for a known key family, one to one in execution order (the rule is in
// keys.ts), each pair checked for leaf kind and exact shape. Unknown names are refused, never guessed.

import { type Diagnostic, fail, UserError } from '../diagnostics.js';
import { executionOrder, familyOf, leafOf, type NamedTensor, sortLeaves, tensorsOf } from './keys.js';
import { countParameters, guessNetwork, type NamedShape, type Network, printNetwork } from './network.js';
import { elementsOf, printCount, printShape, printSome, quote } from './values.js';
import type { WeightFile } from './weights.js';

/** Facts of a network that the shipped graphs take as parameters. */
const SETTABLE = ['blocks', 'features', 'growth', 'convs'];

interface Pair {
  readonly parameter: NamedShape;
  readonly tensor: NamedTensor;
}

interface Pairing {
  readonly pairs: readonly Pair[];
  readonly missing: readonly NamedShape[];
  readonly unexpected: readonly NamedTensor[];
  /** False when one tensor too many or too few shifts all that follow. */
  readonly aligned: boolean;
}

/** The values of every parameter, in the order of `parameters`. */
export function matchWeights(parameters: readonly NamedShape[], file: WeightFile): Map<string, Float32Array> {
  const pairing = pairByName(parameters, file) ?? pairInOrder(parameters, file);
  const misfits = pairing.pairs.filter((pair) => !fits(pair));
  if (misfits.length + pairing.missing.length + pairing.unexpected.length > 0) {
    throw new UserError(report(parameters, file, pairing, misfits));
  }
  refuseNotFinite(file, pairing.pairs);
  const values = new Map(pairing.pairs.map((pair) => [pair.parameter.name, valuesOf(pair)]));
  return new Map(parameters.map(({ name }) => [name, values.get(name)!]));
}

/** When every parameter is there by name, or when the names are of no family but some are the graph's. */
function pairByName(parameters: readonly NamedShape[], file: WeightFile): Pairing | undefined {
  const family = familyOf(file);
  const tensors = new Map(tensorsOf(file).map((tensor) => [tensor.name, tensor]));
  const missing = parameters.filter(({ name }) => !tensors.has(name));
  if (family ? missing.length > 0 : missing.length === parameters.length) return undefined;
  const pairs = parameters.flatMap((parameter) => {
    const tensor = tensors.get(parameter.name);
    tensors.delete(parameter.name);
    return tensor ? [{ parameter, tensor }] : [];
  });
  return { pairs, missing, unexpected: family?.openEnded ? [] : [...tensors.values()], aligned: true };
}

function pairInOrder(parameters: readonly NamedShape[], file: WeightFile): Pairing {
  const ordered = executionOrder(file);
  if (!ordered) {
    const names = [...file.tensors.keys()];
    fail(`${file.name}: its keys are neither the graph's names nor of a known family`, {
      notes: [
        `the file: ${printSome(names.map(quote))}`,
        `the graph: ${printSome(parameters.map(({ name }) => name))}`,
      ],
      help: "rename the keys to the graph's names, in the order of `src compile --emit graph`",
    });
  }
  const wanted = sortLeaves(parameters);
  const tensors = familyOf(file)?.openEnded ? ordered.slice(0, wanted.length) : ordered;
  const pairs = wanted.slice(0, tensors.length).map((parameter, i) => ({ parameter, tensor: tensors[i]! }));
  return {
    pairs,
    missing: wanted.slice(pairs.length),
    unexpected: tensors.slice(pairs.length),
    aligned: wanted.length === tensors.length,
  };
}

/** Same leaf and shape. A linear layer over C*H*W is a convolution over C, H, W; one PReLU slope serves all channels. */
function fits({ parameter, tensor }: Pair): boolean {
  if (leafOf(parameter.name) !== leafOf(tensor.name)) return false;
  const [want, have] = [parameter.shape, tensor.shape];
  if (want.length === have.length && want.every((size, axis) => size === have[axis])) return true;
  if (isSingleSlope(have) && want.length === 1) return leafOf(parameter.name) === 'weight';
  const linear = (want.length === 2 && have.length === 4) || (want.length === 4 && have.length === 2);
  return linear && want[0] === have[0] && elementsOf(want) === elementsOf(have);
}

function isSingleSlope(shape: readonly number[]): boolean {
  return shape.length === 1 && shape[0] === 1;
}

function valuesOf({ parameter, tensor }: Pair): Float32Array {
  const count = elementsOf(parameter.shape);
  return tensor.data.length === count ? tensor.data : new Float32Array(count).fill(tensor.data[0]!);
}

function refuseNotFinite(file: WeightFile, pairs: readonly Pair[]): void {
  const counts = pairs.flatMap(({ tensor: { name, data } }) => {
    const count = countNotFinite(data);
    return count > 0 ? [`${quote(name)}: ${count} of ${data.length}`] : [];
  });
  if (counts.length === 0) return;
  fail(`${file.name}: weights that are NaN or infinite`, {
    notes: [printSome(counts)],
    help: 'the training of this file diverged, or it was damaged: use another checkpoint',
  });
}

function countNotFinite(data: Float32Array): number {
  let count = 0;
  for (const value of data) if (!Number.isFinite(value)) count++;
  return count;
}

function report(
  parameters: readonly NamedShape[],
  file: WeightFile,
  { pairs, missing, unexpected, aligned }: Pairing,
  misfits: readonly Pair[],
): Diagnostic {
  const ordered = executionOrder(file) ?? tensorsOf(file);
  const wanted = sortLeaves(parameters);
  const theirs = guessNetwork(ordered);
  const ours = guessNetwork(wanted);
  const notes = [
    `the file (${familyOf(file)?.title ?? "the graph's names"}): ${printCounts(ordered, theirs)}`,
    `the graph: ${printCounts(wanted, ours)}`,
  ];
  if (!aligned && misfits[0]) {
    // Matched in order, so what follows the first difference only repeats it.
    const index = pairs.indexOf(misfits[0]);
    notes.push(`${index ? `the first ${index} agree, then` : 'from the first on:'} ${printPair(misfits[0])}`);
  } else {
    if (misfits.length) notes.push(`misshapen (${misfits.length}): ${printSome(misfits.map(printPair))}`);
    if (missing.length)
      notes.push(`missing (${missing.length}): ${printSome(missing.map(({ name }) => name))}`);
    if (unexpected.length) {
      notes.push(
        `unexpected (${unexpected.length}): ${printSome(unexpected.map(({ name }) => quote(name)))}`,
      );
    }
  }
  const { causes, help } = explain(theirs, ours);
  return { message: `${file.name} does not fit the graph`, notes: [...notes, ...causes], help };
}

function printPair({ parameter, tensor }: Pair): string {
  const [want, have] = [printShape(parameter.shape), printShape(tensor.shape)];
  return `${parameter.name} ${want} meets ${quote(tensor.name)} ${have}`;
}

function printCounts(tensors: readonly NamedShape[], network: Network | undefined): string {
  const counts = `${tensors.length} tensors, ${printCount(countParameters(tensors))} parameters`;
  return network ? `${counts}, ${printNetwork(network)}` : counts;
}

/** What differs between the two networks, and what to do about it. */
function explain(
  theirs: Network | undefined,
  ours: Network | undefined,
): { readonly causes: readonly string[]; readonly help: string } {
  if (!theirs || !ours) return { causes: [], help: 'use the graph these weights were trained for' };
  if (theirs.title !== ours.title) {
    return {
      causes: [`the file looks like another network: ${theirs.title}, not ${ours.title}`],
      help: 'use the graph these weights were trained for',
    };
  }
  const different = Object.keys(ours.facts).filter((fact) => ours.facts[fact] !== theirs.facts[fact]);
  const sets = different.filter((fact) => SETTABLE.includes(fact));
  return {
    causes: different.map(
      (fact) => `${fact}: the file has ${theirs.facts[fact]}, the graph ${ours.facts[fact]}`,
    ),
    help:
      sets.length > 0 && sets.length === different.length
        ? `pass ${sets.map((fact) => `--set ${fact}=${theirs.facts[fact]}`).join(' ')}`
        : 'use the graph these weights were trained for',
  };
}
