// One trainer per run folder: a file that says who trains there. A process that was killed leaves it behind, so the lock of
// a process of this machine that is gone does not count.

import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fail } from '../diagnostics.js';
import { isRecord } from '../formats/values.js';
import { failIo } from './files.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
}

/** What this process has locked, as it stands in the files. */
const held = new Set<string>();

/** Whoever else found the same lock stale has replaced it after this time. */
const SETTLE_MS = 100;

/** Gives the function that unlocks. `say` is told when the lock of a dead process is taken over. */
export async function lockFolder(folder: string, say: (line: string) => void): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  const me: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  const mine = JSON.stringify({ ...me, id: randomUUID() }); // no two locks are the same text
  try {
    if (!(await create(path, mine))) await takeOver(path, mine, folder, say);
  } catch (error) {
    failIo(path, 'written', error);
  }
  held.add(mine);
  return async () => {
    held.delete(mine);
    if ((await read(path)) === mine) await rm(path, { force: true });
  };
}

/** False when there is a lock already. */
async function create(path: string, mine: string): Promise<boolean> {
  try {
    await writeFile(path, mine, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function takeOver(
  path: string,
  mine: string,
  folder: string,
  say: (line: string) => void,
): Promise<void> {
  const theirs = await read(path);
  const holder = holderOf(theirs);
  if (!holder || holder.host !== hostname() || held.has(theirs) || isAlive(holder.pid)) {
    refuse(folder, path, holder);
  }
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, mine);
  await rename(draft, path);
  await setTimeout(SETTLE_MS);
  const now = await read(path);
  if (now !== mine) refuse(folder, path, holderOf(now));
  say(
    `${folder}: process ${holder.pid}, which trained here since ${holder.since}, is gone: its lock is taken over`,
  );
}

function refuse(folder: string, path: string, holder: Holder | undefined): never {
  fail(`${folder}: another process is training in this folder`, {
    notes: [
      holder
        ? `process ${holder.pid} on ${holder.host}, since ${holder.since}`
        : 'its lock does not say which: it may just be starting',
    ],
    help: `wait for it, or train in another folder; if it no longer runs, delete ${path}`,
  });
}

/** Empty when there is none. */
function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

function holderOf(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return undefined;
    const { pid, host, since } = value;
    const known = typeof pid === 'number' && typeof host === 'string' && typeof since === 'string';
    return known ? { pid, host, since } : undefined;
  } catch {
    return undefined;
  }
}

/** Its number may be that of this process: after a restart they are handed out again. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
