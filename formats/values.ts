// Checks and prints for values that come out of files nobody vouches for.

import { fail } from '../diagnostics.js';

/** More dimensions than any weight has; keeps loops over a shape and messages short. */
const MAX_RANK = 8;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_RANK && value.every(isIndex);
}

export function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** May exceed every file size, or be NaN for a shape that multiplies infinity by zero: compare, don't allocate. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Parses `text` as a JSON object; `what` names the text in the message. */
export function parseObject(name: string, what: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    fail(`${name}: ${what} is not JSON`, { help: 'download the file again' });
  }
  if (!isRecord(value)) fail(`${name}: ${what} is not a JSON object`, { help: 'download the file again' });
  return value;
}

/** A name from a file, quoted and cut, so that it cannot flood or forge a terminal. */
export function quote(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 77)}…` : text;
  return JSON.stringify(cut).replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

export function printShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** `16,697,987`; not by Intl, which takes 15 ms to load what it knows of languages. */
export function printCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** The first few of `items`, and how many more there are. */
export function printSome(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).join(', ');
  return items.length > most ? `${shown}, … and ${items.length - most} more` : shown;
}
