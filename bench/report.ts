// What a table tells, as it comes, and what is kept of it: text for people, data for programs, a section of RESULTS.md.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostLine, ROOT, version } from './machine.js';
import type { DeviceName } from './peer.js';

export interface Report {
  /** For people, and into the section. */
  tell(text: string): void;
  /** For programs. */
  keep(name: string, value: unknown): void;
  /** What was measured on: told once. */
  device(name: DeviceName): void;
  /** A version of something that was measured. */
  version(name: string): void;
}

export interface Kept extends Report {
  section(title: string): string;
  data(): unknown;
}

export function newReport(table: string, command: string): Kept {
  const told: string[] = [];
  const versions = new Set([commitLine()]);
  const data: Record<string, unknown> = {};
  let device: DeviceName | undefined;
  return {
    tell(text) {
      told.push(text);
      process.stdout.write(`${text}\n`);
    },
    keep: (name, value) => {
      data[name] = value;
    },
    device({ name, driver }) {
      device ??= { name, driver };
    },
    version: (name) => versions.add(name),
    section: (title) =>
      [
        `## ${title}`,
        '',
        `- ${new Date().toISOString().slice(0, 10)}, \`${command}\``,
        ...(device ? [`- device: ${device.name}, ${device.driver}`] : []),
        `- host: ${hostLine()}`,
        `- versions: ${[...versions].join('; ')}`,
        ...told,
      ].join('\n'),
    data: () => ({
      table,
      date: new Date().toISOString(),
      command,
      host: hostLine(),
      device,
      versions: [...versions],
      ...data,
    }),
  };
}

/** `src 0.3.0 at 1234abc` */
function commitLine(): string {
  try {
    const git = (...words: string[]) => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim();
    return `src ${version} at ${git('describe', '--always', '--dirty')}`;
  } catch {
    return `src ${version}`; // no checkout
  }
}

const RESULTS = join(ROOT, 'bench/RESULTS.md');

const TITLE = `# Results of \`npm run bench\`

Written by the command itself (\`--write\`). Systems take turns in one run; ms are per image or step, from the host's memory
to the host's memory. GFLOP/s count a multiply-add twice and no padding. "x src" is the time over that of \`src f32\` (the
median over rounds), "of ceiling" the share of what multiply-adds in registers reach on the same device in the same run.
Accuracy is the largest difference and PSNR against the reference.
`;

/** Puts the report in the place of an older one of the same cases. */
export function writeSection(report: Kept, table: string, cases: readonly string[] = []): void {
  const title = [table, ...cases].join(' ');
  const before = existsSync(RESULTS) ? readFileSync(RESULTS, 'utf8') : TITLE;
  const [, ...sections] = before.split(/^(?=## )/m);
  const others = sections.filter((one) => !one.startsWith(`## ${title}\n`));
  const all = [...others, report.section(title)].sort();
  writeFileSync(RESULTS, `${[TITLE, ...all].map((one) => one.trimEnd()).join('\n\n')}\n`);
}
