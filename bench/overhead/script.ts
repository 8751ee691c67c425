// Measurements that need a fresh process: the scripts of this folder, each of which prints one JSON line.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const execute = promisify(execFile);

export function scriptFile(name: string): string {
  return join(import.meta.dirname, `${name}.js`);
}

export async function runScript<T>(name: string, variables: NodeJS.ProcessEnv = {}): Promise<T> {
  const env = { ...process.env, ...variables };
  const { stdout } = await execute(process.execPath, [scriptFile(name)], { env, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}
