// `src doctor` on the command line; actions/doctor.ts does it.

import { Command } from 'commander';
import type { DoctorOptions } from '../actions/doctor.js';
import type { Io } from '../io.js';
import { gpuOption } from '../options.js';

export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .description('say what this machine offers for running networks, and what would make it faster')
    .addOption(gpuOption())
    .option('--json', 'everything as JSON')
    .action(async (options: DoctorOptions) => (await import('../actions/doctor.js')).doctor(io, options));
}
