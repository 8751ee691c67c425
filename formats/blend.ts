// Network interpolation (ESRGAN, section 3.4): (1 - alpha) * a + alpha * b over every tensor. Files may differ in format
// and family: tensors pair by name when both files use the same names, else in execution order, where both have one.

import { fail } from '../diagnostics.js';
import { executionOrder, familyOf, leafOf, type NamedTensor, tensorsOf } from './keys.js';
import { printShape, printSome, quote } from './values.js';
import type { WeightFile, WeightTensor } from './weights.js';

/** The result has the names and the order of `a`, in f32. */
export function blend(a: WeightFile, b: WeightFile, alpha: number): WeightFile {
  checkAlpha(alpha);
  const pairs = pairUp(a, b);
  const misfits = pairs.filter(([x, y]) => !sameKind(x, y));
  if (misfits.length > 0) {
    refuse(a, b, [
      `${misfits.length} tensors differ: ${printSome(misfits.map(([x, y]) => `${print(x)} and ${print(y)}`))}`,
    ]);
  }
  const tensors = pairs.map(([x, y]): [string, WeightTensor] => [
    x.name,
    { shape: x.shape, dtype: 'f32', data: mix(x.data, y.data, alpha) },
  ]);
  return { ...a, name: `${a.name} and ${b.name}`, tensors: new Map(tensors) };
}

function pairUp(a: WeightFile, b: WeightFile): [NamedTensor, NamedTensor][] {
  const [ours, theirs] = [tensorsOf(a), tensorsOf(b)];
  const byName = new Map(theirs.map((tensor) => [tensor.name, tensor]));
  const common = ours.filter(({ name }) => byName.has(name));
  if (common.length === ours.length && common.length === theirs.length) {
    return ours.map((tensor) => [tensor, byName.get(tensor.name)!]);
  }
  const [first, second] = [executionOrder(a), executionOrder(b)];
  if (!first || !second) {
    const only = (tensors: readonly NamedTensor[], others: readonly NamedTensor[]): string => {
      const names = new Set(others.map(({ name }) => name));
      return (
        printSome(tensors.filter(({ name }) => !names.has(name)).map(({ name }) => quote(name))) || 'none'
      );
    };
    refuse(a, b, [
      'the names differ, and not both files have a key family that gives their order',
      `only in ${a.name}: ${only(ours, theirs)}`,
      `only in ${b.name}: ${only(theirs, ours)}`,
    ]);
  }
  if (first.length !== second.length) {
    refuse(a, b, [
      `${a.name} has ${first.length} tensors (${familyOf(a)?.title})`,
      `${b.name} has ${second.length} tensors (${familyOf(b)?.title})`,
    ]);
  }
  return first.map((tensor, i) => [tensor, second[i]!]);
}

function sameKind(a: NamedTensor, b: NamedTensor): boolean {
  return leafOf(a.name) === leafOf(b.name) && a.shape.join() === b.shape.join();
}

function mix(a: Float32Array, b: Float32Array, alpha: number): Float32Array {
  return a.map((value, i) => (1 - alpha) * value + alpha * b[i]!);
}

function checkAlpha(alpha: number): void {
  if (!(alpha >= 0 && alpha <= 1)) {
    fail(`alpha ${alpha} is not between 0 and 1`, { help: '0 gives the first file, 1 the second' });
  }
}

function print(tensor: NamedTensor): string {
  return `${quote(tensor.name)} ${printShape(tensor.shape)}`;
}

function refuse(a: WeightFile, b: WeightFile, notes: readonly string[]): never {
  fail(`${a.name} and ${b.name} cannot be blended: they are not of one network`, {
    notes,
    help: 'blend checkpoints of the same network; with a graph, `src run --weights A --blend B` names them alike',
  });
}
