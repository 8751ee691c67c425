// `src fmt`: .sr files in the one style.

import { join } from 'node:path';
import { fail, type Source } from '../../diagnostics.js';
import { format } from '../../dsl/format.js';
import { parse } from '../../dsl/index.js';
import { Problems } from '../../dsl/problems.js';
import { decodeSource, readText, statOf, walk, writeAtomic } from '../files.js';
import { type Io, readStdin, write } from '../io.js';

export interface FmtOptions {
  readonly check?: true;
  readonly stdout?: true;
}

export async function formatFiles(
  io: Io,
  paths: readonly string[],
  { check, stdout }: FmtOptions,
): Promise<void> {
  const sources = (await Promise.all(paths.map((path) => read(io, path)))).flat();
  // All of them first: a mistake in one leaves every file as it is.
  const formatted = formatAll(sources);
  const changed = formatted.filter(({ text, after }) => text !== after);
  if (check) return refuse(changed, sources.length);
  for (const { name, text, after } of formatted) {
    if (stdout || name === '-') {
      await write(io.stdout, after);
    } else if (text !== after) {
      await writeAtomic(name, new TextEncoder().encode(after));
      await write(io.stderr, `${name}: formatted\n`);
    }
  }
}

async function read(io: Io, path: string): Promise<Source[]> {
  if (path === '-') return [decodeSource(path, await readStdin(io, 'a .sr file'))];
  if (!(await statOf(path))?.isDirectory()) return [await readText(path)];
  const files = (await walk(path)).filter((file) => file.endsWith('.sr'));
  return Promise.all(files.map((file) => readText(join(path, file))));
}

function formatAll(sources: readonly Source[]) {
  const problems = new Problems();
  const formatted = sources.flatMap((source) => {
    const after = problems.attempt(() => format(parse(source)));
    return after === undefined ? [] : { ...source, after };
  });
  problems.throwIfAny();
  return formatted;
}

function refuse(changed: readonly Source[], count: number): void {
  if (changed.length === 0) return;
  const names = changed.map(({ name }) => name);
  fail(`${names.length} of ${count} files are not in the one style`, {
    notes: names,
    help: `run \`src fmt ${names.join(' ')}\``,
  });
}
