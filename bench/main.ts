// `npm run bench -- TABLE`: measures, prints, and on request writes what it found.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { UserError } from '../diagnostics.js';
import type { TableOptions } from './options.js';
import { newReport, type Report, writeSection } from './report.js';
import { PEERS } from './systems.js';
import { gpu } from './tables/gpu.js';
import { inference } from './tables/inference.js';
import { overhead } from './tables/overhead.js';
import { train } from './tables/train.js';

interface Table {
  /** What --only chooses from. */
  readonly cases: readonly string[];
  /** Whether everything of ours was right. */
  run(options: TableOptions, report: Report): Promise<boolean>;
}

const TABLES: Readonly<Record<string, Table>> = { inference, train, overhead, gpu };

const DEFAULTS: Readonly<Record<string, string>> = { reps: '5', seconds: '30', limit: '120' };

const USAGE = `usage: npm run bench -- TABLE [OPTIONS]

tables
  inference  one image through published networks, beside ncnn, tfjs and ONNX Runtime
  train      training steps, beside tfjs and PyTorch
  overhead   everything but arithmetic: compiling, planning, dispatching, memory
  gpu        all of it sized for a real GPU, beside PyTorch and ncnn, in at most 10 minutes

options
  --only A,B      these cases only
  --peers A,B     these peers only: ${PEERS.join(', ')}; none
  --reps N        measurements of each system (${DEFAULTS.reps})
  --seconds N     a system that has worked this long on a case is not measured again (${DEFAULTS.seconds})
  --limit N       what one measurement may take, in seconds (${DEFAULTS.limit})
  --models DIR    published weights as ncnn's .param and .bin; also SRC_MODELS
  --quick         small sizes: shows that it works
  --json FILE     what was found, as data
  --write         what was found, into bench/RESULTS.md

npm run bench:setup installs the peers into bench/. Cases:
${Object.entries(TABLES)
  .map(([name, { cases }]) => `  ${name.padEnd(10)} ${cases.join(', ')}`)
  .join('\n')}
`;

async function main(words: readonly string[]): Promise<number> {
  if (words.length === 0) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { values, positionals } = parse(words);
  const [name = 'nothing'] = positionals;
  const table = TABLES[name];
  if (!table || positionals.length > 1) throw new Misuse(`there is no table ${positionals.join(' ')}`);
  const options: TableOptions = {
    only: namesOf(values.only, table.cases),
    peers: namesOf(values.peers, [...PEERS, 'none']),
    reps: numberOf('reps', values.reps),
    seconds: numberOf('seconds', values.seconds),
    limit: numberOf('limit', values.limit),
    deadline: Infinity,
    models: [values.models, process.env.SRC_MODELS].filter((folder) => folder !== undefined),
    quick: values.quick,
  };
  const report = newReport(name, commandOf(name, values));
  const right = await table.run(options, report);
  if (values.write) writeSection(report, name, options.only);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report.data(), null, 2)}\n`);
  return right ? 0 : 1;
}

function namesOf(text: string | undefined, known: readonly string[]): readonly string[] | undefined {
  const names = text?.split(',');
  const stranger = names?.find((name) => !known.includes(name));
  if (stranger !== undefined) throw new Misuse(`there is no ${stranger}: it has ${known.join(', ')}`);
  return names;
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Misuse(`--${option} ${text}: this is no number above 0`);
  return value;
}

class Misuse extends Error {}

/** What gives these numbers again; where folders are is left out. */
function commandOf(name: string, values: ReturnType<typeof parse>['values']): string {
  const { json: _, write: __, ...told } = { ...values, ...(values.models && { models: 'DIR' }) };
  const options = Object.entries(told).flatMap(([option, value]) => {
    if (value === false || value === DEFAULTS[option]) return [];
    return [value === true ? `--${option}` : `--${option} ${value}`];
  });
  return ['npm run bench --', name, ...options].join(' ');
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        peers: { type: 'string' },
        reps: { type: 'string', default: DEFAULTS.reps! },
        seconds: { type: 'string', default: DEFAULTS.seconds! },
        limit: { type: 'string', default: DEFAULTS.limit! },
        models: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        write: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : '');
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Misuse || error instanceof UserError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  } else throw error;
}
